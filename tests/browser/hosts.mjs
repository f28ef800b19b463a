// The states of the pages that people see on the hosts of apps, and on the way there.

import { given } from './kit.mjs';

/** Sends an empty form from where the tab is. */
export async function post(tab, action) {
    const sent = tab.page.evaluate((action) => {
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action });
        document.body.append(form);
        form.submit();
    }, action);
    await Promise.all([tab.page.waitForEvent('load'), sent]);
}

/** The states, and those while the host of the wiki is not that of an app yet. */
export function onAppHosts(main) {
    const [notes, wiki] = given.apps.map((host) => `https://${host}`);
    const [states, beforeTheWiki] = [[], []];
    const state = (route, name, open, status = 200) => states.push({ route, name, open, status });
    const stateOfNoApp = (route, name, open, status = 200) => beforeTheWiki.push({ route, name, open, status });

    /** A tab of somebody who is signed in, at a URL. */
    async function signedIn(tab, url) {
        await main.person('ada');
        await tab.signIn(main, 'ada');
        await tab.go(url);
    }
    /** Begins the same way again and again, and loses a cookie each time. */
    async function circle(tab, lost) {
        await signedIn(tab, `${main.url}/`);
        for (let n = 0; n < 3; n += 1) {
            if (lost) await tab.context.clearCookies({ name: lost });
            await tab.go(`${notes}/_usher/start?to=%2Fx`);
        }
    }

    state('GET /enter', 'not signed in', (tab) => tab.go(`${notes}/x`));
    state('GET /enter', 'not signed in, an app with a long name', (tab) => tab.go(`${wiki}/x`));
    state('GET /enter', 'not allowed', (tab) => signedIn(tab, `${wiki}/x`), 403);
    state('GET /enter', 'leads nowhere', (tab) => tab.go(`${main.url}/enter?flow=unknown`), 404);
    state('GET /continue', 'waiting for the app', async (tab) => {
        await tab.page.route('**/enter?*', (route) => route.abort('aborted'));
        await tab.go(`${main.url}/continue?flow=unknown`);
    });
    state('GET /_usher/start', 'a circle without the cookie', (tab) => circle(tab, '__Host-usher-app'), 409);
    state('GET /_usher/start', 'a circle with the cookie', (tab) => circle(tab), 409);
    stateOfNoApp('GET /_usher/start', 'of no app', (tab) => tab.go(`${wiki}/_usher/start?to=%2Fx`), 403);
    state('GET /_usher/callback', 'without cookies', (tab) => tab.go(`${notes}/_usher/callback?code=x`), 403);
    state('GET /_usher/callback', 'with a code of another browser', async (tab) => {
        await tab.go(`${notes}/x`);
        await tab.go(`${notes}/_usher/callback?code=x`);
    }, 403);
    state('GET /_usher/sign-out', 'leads to the button', (tab) => tab.go(`${notes}/_usher/sign-out`));
    state('GET /_usher/test', 'of an app', (tab) => tab.go(`${notes}/_usher/test`));
    state('GET /_usher/test', 'inside', async (tab) => {
        await signedIn(tab, `${notes}/x`);
        await tab.go(`${notes}/_usher/test`);
    });
    stateOfNoApp('GET /_usher/test', 'of no app', (tab) => tab.go(`${wiki}/_usher/test`));

    state('POST /sign-in', 'on the way to an app', async (tab) => {
        await tab.go(`${notes}/x`);
        await tab.send({ 'Username or e-mail': 'nobody', Password: 'wrong' }, 'Sign in');
    }, 401);
    state('POST /sign-in', 'from a page of another site', async (tab) => {
        await signedIn(tab, `${notes}/x`);
        await post(tab, `${main.url}/sign-in`);
    }, 403);

    // nginx answers with texts of its own here.
    if (given.kind !== 'nginx') {
        stateOfNoApp('GET *', 'what the proxy asks about an app that is not registered', (tab) => tab.go(`${wiki}/x`), 403);
        state('GET *', 'what the proxy asks about a form after the session has ended', async (tab) => {
            await main.person('eve');
            await tab.signIn(main, 'eve');
            await tab.go(`${notes}/x`);
            await main.call('DELETE', `/users/${(await main.person('eve')).id}/sessions`);
            await post(tab, `${notes}/x`);
        }, 401);
    }
    return { states, beforeTheWiki };
}
