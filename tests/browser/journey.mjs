// From the first start to two apps behind a proxy, with a mouse, without scripts, or by keyboard alone; and what happens to
// somebody who is inside.

import { serve } from './app.mjs';
import { Site, Tab, browser, given } from './kit.mjs';
import { Person, heading, is, where } from './person.mjs';

const site = new Site(given.sites.main);
const [notes, wiki] = given.apps.map((host) => `https://${host}`);
const apps = [await serve('Notes', given.upstreams[0]), await serve('Wiki', given.upstreams[1])];

/** Whether somebody is in an app, at a path. */
async function isIn(tab, app, path, who) {
    await tab.page.waitForURL(app + path);
    is([await tab.page.locator('#who').innerText(), await tab.page.locator('#path').innerText()], [who, path], `in ${app}`);
}

async function fromTheFirstStartToTwoApps() {
    const root = await Person.come();
    await root.go(site.url);
    is(await heading(root.tab), 'There is no administrator yet', 'the first page');

    await root.go(site.setup);
    await root.type('Username', 'root');
    await root.type('E-mail address', 'root@example.com');
    await root.type('Password', given.password);
    await root.use('button', 'Create administrator');
    is(where(root.tab), '/admin/apps/new', 'after the administrator');

    for (const [name, url, upstream] of [['Notes', notes, given.upstreams[0]], ['Wiki', wiki, given.upstreams[1]]]) {
        await root.type('Name', name);
        await root.type('URL', url);
        await root.type('Where the proxy finds the app', upstream);
        await root.use('button', 'Protect app');
        is(await heading(root.tab), name, 'after the app');
        await root.use('link', 'Open the test page on the app’s host');
        is([where(root.tab), await heading(root.tab)], ['/_usher/test', 'What arrived here'], name);
        is(await root.tab.page.getByText(name, { exact: true }).count(), 1, `${name} is known there`);
        await root.go(`${site.url}/admin/apps/new`);
    }

    await root.use('link', 'Sign out');
    await root.use('button', 'Sign out');
    is(await heading(root.tab), 'Sign in', 'after signing out');

    await root.go(`${notes}/x?y=1&z=2`);
    is(await heading(root.tab), 'Sign in to Notes', 'at an app');
    await root.signIn('root');
    await isIn(root.tab, notes, '/x?y=1&z=2', 'root');
    await root.go(`${wiki}/page`);
    await isIn(root.tab, wiki, '/page', 'root');

    await root.go(`${wiki}/_usher/sign-out`);
    await root.use('button', 'Sign out');
    for (const [app, title] of [[notes, 'Sign in to Notes'], [wiki, 'Sign in to Wiki']]) {
        await root.go(`${app}/x`);
        is(await heading(root.tab), title, 'after signing out of one');
    }
    await root.tab.close();
}

/** Somebody who is in Notes. */
async function inside(username) {
    await site.person(username);
    const tab = await Tab.open();
    await tab.signIn(site, username);
    await tab.go(`${notes}/`);
    await isIn(tab, notes, '/', username);
    return tab;
}

async function id(username) {
    return (await site.person(username)).id;
}

/** What a script of the page gets. */
const fetched = (tab, url, options) => tab.page.evaluate(async ([url, options]) => {
    const { status, redirected, type } = await fetch(url, options);
    return { status, redirected, type };
}, [url, options]);

const others = {
    async 'the box decides whether the browser keeps the session'() {
        await site.person('ada');
        for (const keep of [true, false]) {
            const tab = await Tab.open();
            await tab.go(`${site.url}/sign-in`);
            await tab.page.getByLabel('Keep me signed in').setChecked(keep);
            await tab.send({ 'Username or e-mail': 'ada', Password: given.password }, 'Sign in');
            const cookie = (await tab.context.cookies(site.url)).find(({ name }) => name === '__Host-usher');
            is([cookie.httpOnly, cookie.secure, cookie.sameSite, cookie.domain], [true, true, 'Lax', given.hosts.auth], 'the cookie');
            const days = (cookie.expires - Date.now() / 1000) / 86_400;
            is(keep ? Math.round(days) : cookie.expires, keep ? 30 : -1, `its days, where the box is ${keep}`);
            await tab.close();
        }
    },

    async 'three tabs of two apps are restored at once'() {
        const tab = await inside('ada');
        await tab.go(`${wiki}/`);
        await tab.context.clearCookies({ name: '__Host-usher-app' });
        const restored = [[notes, '/a'], [notes, '/b?c=1'], [wiki, '/d']];
        const tabs = await Promise.all(restored.map(() => tab.another()));
        await Promise.all(tabs.map((other, at) => other.go(restored[at].join(''))));
        for (const [at, other] of tabs.entries()) await isIn(other, ...restored[at], 'ada');
        await tab.close();
    },

    async 'a page whose session has ended gets 401 for what it fetches, and is led to the sign-in when it is loaded again'() {
        const tab = await inside('bob');
        is(await fetched(tab, '/data'), { status: 200, redirected: false, type: 'basic' }, 'inside');
        await site.call('DELETE', `/users/${await id('bob')}/sessions`);
        is(await fetched(tab, '/data'), { status: 401, redirected: false, type: 'basic' }, 'fetch');
        is(await fetched(tab, '/data', { method: 'POST' }), { status: 401, redirected: false, type: 'basic' }, 'a sent form');
        await tab.page.reload();
        is(await heading(tab), 'Sign in to Notes', 'loaded again');
        await tab.close();
    },

    async 'a WebSocket opens from the app’s own page, and not from one of another origin'() {
        const tab = await inside('ada');
        const open = () => tab.page.evaluate((url) => new Promise((resolve) => {
            const socket = new WebSocket(url);
            socket.onopen = () => { resolve('open'); socket.close(); };
            socket.onerror = () => resolve('refused');
        }), `${notes.replace('https', 'wss')}/socket`);
        is(await open(), 'open', 'from its own page');
        await tab.go(`${wiki}/`);
        apps[0].reached.length = 0;
        is(await open(), 'refused', 'from a page of another origin');
        await tab.page.waitForTimeout(100);
        const said = tab.complaints.filter((text) => text.includes('WebSocket'));
        is([said.length, said[0]?.includes('403')], [1, true], said.join());
        is(apps[0].reached, [], 'what reached the app');
        await tab.close();
    },

    async 'what a page of another origin sends does not reach the app'() {
        const tab = await inside('ada');
        await tab.go(`${wiki}/`);
        apps[0].reached.length = 0;
        is(await fetched(tab, `${notes}/x`, { method: 'POST', mode: 'no-cors', credentials: 'include' }), { status: 0, redirected: false, type: 'opaque' }, 'fetch');
        await tab.page.evaluate((url) => { document.forms[0].action = url; }, `${notes}/x`);
        await tab.press('Save');
        // nginx's own page has no icon, for which the browser then asks the app.
        is([tab.answer.status(), apps[0].reached.filter((asked) => !asked.startsWith('GET'))], [403, []], 'a form');
        await tab.go(`${notes}/`);
        await tab.press('Save');
        await isIn(tab, notes, '/', 'ada');
        await tab.close();
    },

    async 'an account that is disabled is out of the app at once'() {
        const tab = await inside('eve');
        await site.call('PUT', `/users/${await id('eve')}`, { disabled: true });
        is((await fetched(tab, '/data')).status, 401, 'fetch');
        await tab.go(`${notes}/`);
        is(await heading(tab), 'Sign in to Notes', 'the app');
        await tab.close();
    },

    async 'who is not in the group of an app is told so, and enters once they are'() {
        const group = await site.call('POST', '/groups', { name: 'writers' });
        const app = (await site.call('GET', '/apps')).apps.find(({ name }) => name === 'Wiki');
        await site.call('PUT', `/apps/${app.id}`, { access: 'groups', groups: ['writers'] });
        const tab = await inside('ada');
        await tab.go(`${wiki}/page`);
        is([await heading(tab), tab.answer.status(), new URL(tab.page.url()).origin], ['No access to Wiki', 403, site.url], 'outside');
        await site.call('PUT', `/groups/${group.id}/members/${await id('ada')}`);
        await tab.go(`${wiki}/page`);
        await isIn(tab, wiki, '/page', 'ada');
        await site.call('DELETE', `/groups/${group.id}/members/${await id('ada')}`);
        is((await fetched(tab, '/page')).status, 403, 'after leaving');
        await tab.close();
    },

    async 'a sibling subdomain can’t plant a cookie'() {
        const eve = await inside('mallory');
        const planted = (await eve.context.cookies(notes)).filter(({ name }) => name.startsWith('__Host-usher'));
        is(planted.length >= 2, true, 'cookies to plant');
        await eve.close();
        const plant = async (tab) => {
            await tab.page.route('https://evil.example.com/**', (route) => route.fulfill({ contentType: 'text/html', body: '<h1>Evil</h1>' }));
            await tab.go('https://evil.example.com/');
            await tab.page.evaluate((planted) => {
                for (const { name, value } of planted) {
                    for (const spelling of [name, name.replace('__Host-', ''), name.toLowerCase()]) {
                        document.cookie = `${spelling}=${value}; Domain=example.com; Path=/; Secure`;
                    }
                }
            }, planted);
        };
        const ada = await inside('ada');
        await plant(ada);
        await ada.go(`${notes}/`);
        await isIn(ada, notes, '/', 'ada');
        await ada.close();
        const stranger = await Tab.open();
        await plant(stranger);
        await stranger.go(`${notes}/`);
        is(await heading(stranger), 'Sign in to Notes', 'somebody who is not signed in');
        await stranger.close();
    },
};

const faults = [];
async function run(name, journey) {
    try {
        await journey();
    } catch (error) {
        faults.push(`${name}: ${error.message}`);
    }
}
await run(`from the first start to two apps, ${given.mode}`, fromTheFirstStartToTwoApps);
if (given.mode === 'mouse' && !faults.length) {
    for (const app of (await site.call('GET', '/apps')).apps) await site.call('PUT', `/apps/${app.id}`, { access: 'everyone' });
    for (const [name, journey] of Object.entries(others)) await run(name, journey);
}
await browser.close();
for (const app of apps) app.close();
for (const fault of faults) console.error(fault);
process.exitCode = faults.length ? 1 : 0;
