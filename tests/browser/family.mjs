// A family behind a proxy: an administrator who never opens a shell, and people with phones, without scripts.

import { createRequire } from 'node:module';
import { serve } from './app.mjs';
import { Site, Tab, browser, given } from './kit.mjs';

const require = createRequire(process.env.BROWSER_PACKAGES);
const { PNG } = require('pngjs');
const readCode = require('jsqr');

const site = new Site(given.sites.main);
const [notes, wiki] = given.apps.map((host) => `https://${host}`);
const apps = [await serve('Notes', given.upstreams[0]), await serve('Wiki', given.upstreams[1])];
const PHONE = { viewport: { width: 320, height: 640 }, javaScriptEnabled: false };
const FAMILY = ['ada', 'byron', 'clara', 'dmitri'];

function is(seen, expected, what) {
    const [a, b] = [seen, expected].map((it) => JSON.stringify(it));
    if (a !== b) throw new Error(`${what}: ${a}, and not ${b}`);
}

const heading = (tab) => tab.page.locator('h1').innerText();
const link = (tab, name) => Promise.all([tab.page.waitForEvent('load'), tab.page.getByRole('link', { name, exact: true }).first().click()]);
const says = async (tab, text) => is(await tab.page.getByText(text).count() > 0, true, `"${text}" at ${tab.page.url()}`);

/** Types into a form and sends it, as a browser without scripts lets one. */
async function send(tab, fields, button) {
    for (const [label, text] of Object.entries(fields)) {
        const field = tab.page.getByLabel(label, { exact: true });
        if (await field.evaluate((it) => it.tagName) === 'SELECT') await field.selectOption({ label: text });
        else await field.fill(text);
    }
    await tab.press(button);
}

async function signIn(tab, username, password) {
    await tab.go(`${site.url}/sign-in`);
    await send(tab, { 'Username or e-mail': username, Password: password }, 'Sign in');
}

/** What a phone reads from each QR code on a page, as its picture shows it. */
async function codes(tab) {
    const read = [];
    for (const code of await tab.page.locator('svg.qr').all()) {
        const { data, width, height } = PNG.sync.read(await code.screenshot());
        read.push(readCode(new Uint8ClampedArray(data), width, height)?.data);
    }
    return read;
}

// ---- The administrator sets up, without a shell
const root = await Tab.open({ javaScriptEnabled: false });
await root.go(site.setup);
await send(root, { Username: 'root', 'E-mail address': 'root@example.com', Password: given.password }, 'Create administrator');
for (const name of ['family', 'parents']) {
    await root.go(`${site.url}/admin/groups`);
    await send(root, { Name: name }, 'Create group');
}
for (const [name, url, upstream, group] of [
    ['Notes', notes, given.upstreams[0], 'family'], ['Wiki', wiki, given.upstreams[1], 'parents'],
]) {
    await root.go(`${site.url}/admin/apps/new`);
    await root.page.getByLabel(group, { exact: true }).check();
    await send(root, { Name: name, URL: url, 'Who may enter': 'Members of these groups:', 'Where the proxy finds the app': upstream }, 'Protect app');
    is(await heading(root), name, 'after the app');
}

// ---- Invitations, read from the screen by phones
await root.go(`${site.url}/admin/invitations`);
await send(root, { 'How many': '4' }, 'Create invitation');
const links = await root.page.locator('.codes code').allInnerTexts();
const read = await codes(root);
is([links.length, read], [4, links], 'what phones read');
await root.page.emulateMedia({ colorScheme: 'dark' });
is(await codes(root), links, 'what phones read in the dark');
await root.page.emulateMedia({ colorScheme: 'light' });

const phones = {};
for (const [at, name] of FAMILY.entries()) {
    const phone = await Tab.open({ ...PHONE, userAgent: `The phone of ${name}` });
    await phone.go(read[at]);
    await send(phone, { Username: name, 'E-mail address': `${name}@example.com`, Password: given.password }, 'Create account');
    is(await heading(phone), `Welcome, ${name}`, 'after the invitation');
    phones[name] = phone;
}

// ---- Groups
async function administer(name) {
    await root.go(`${site.url}/admin/users?q=${name}`);
    await link(root, name);
    is(await heading(root), name, 'the account');
}
for (const name of FAMILY) {
    await administer(name);
    for (const group of name < 'c' ? ['family', 'parents'] : ['family']) await root.page.getByLabel(group, { exact: true }).check();
    await root.press('Save groups');
}

// ---- Each of them: a new password, an app, an app token for a native client
/** The status with which an app answers a client that has no cookie, from a page of its own origin. */
async function asClient(app, token) {
    const tab = await Tab.open({ bypassCSP: true });
    await tab.go(`${app}/_usher/test`);
    const status = await tab.page.evaluate(async (secret) => {
        const { status } = await fetch('/data', { credentials: 'omit', headers: { authorization: `Basic ${btoa(`any:${secret}`)}` } });
        return status;
    }, token);
    await tab.close();
    return status;
}
for (const name of FAMILY) {
    const phone = phones[name];
    const password = `${given.password} of ${name}`;
    await link(phone, 'Account');
    await link(phone, 'Password');
    await send(phone, { 'New password': password }, 'Set password');
    const again = await Tab.open(PHONE);
    await signIn(again, name, given.password);
    is(again.answer.status(), 401, `the old password of ${name}`);
    await signIn(again, name, password);
    is(await heading(again), `Welcome, ${name}`, 'the new password');
    await again.close();

    await phone.go(`${notes}/x`);
    is(await phone.page.locator('#who').innerText(), name, 'in Notes');
    await phone.go(`${wiki}/x`);
    if (name < 'c') is(await phone.page.locator('#who').innerText(), name, 'in the wiki');
    else is([await heading(phone), phone.answer.status()], ['No access to Wiki', 403], 'at the wiki');

    await phone.go(`${site.url}/account/app-tokens`);
    await send(phone, { Name: 'Music on the phone', App: 'Notes' }, 'Create app token');
    const token = (await phone.page.locator('pre code').innerText()).trim();
    is([await asClient(notes, token), await asClient(notes, `${token.slice(0, -1)}_`), await asClient(wiki, token)], [200, 401, 401], 'the app token');
}

// ---- Refusals are on record, a locked account is unlocked, a stolen session ends
const stranger = await Tab.open();
for (let n = 0; n < 60; n += 1) {
    await signIn(stranger, 'clara', 'a guess');
    if (stranger.answer.status() === 429) break;
}
is(stranger.answer.status(), 429, 'the guesses');
await root.page.waitForTimeout(1_500); // refusals are written together
await root.go(`${site.url}/admin/audit?action=session.sign_in_failed`);
await says(root, /failed to sign in to clara/i);
await administer('clara');
await root.press('Unlock');
await says(root, 'unlocked');

await phones.dmitri.go(`${site.url}/account/sessions`);
const thief = await Tab.open();
await thief.context.addCookies(await phones.dmitri.context.cookies());
await thief.go(`${site.url}/account`);
is(await heading(thief), 'Profile', 'the stolen session');
await administer('dmitri');
// Those with apps stand behind the browser's, with which they end.
const stolen = root.page.getByRole('row', { name: 'The phone of dmitri' }).first().getByRole('button');
await Promise.all([root.page.waitForEvent('load'), stolen.click()]);
await thief.go(`${site.url}/account`);
is(await heading(thief), 'Sign in', 'the stolen session after its end');
await thief.go(`${notes}/x`);
is(await heading(thief), 'Sign in to Notes', 'the app after its end');

// ---- Signed out, the back button shows nothing
const { ada } = phones;
await ada.go(`${site.url}/account/sessions`);
is(await heading(ada), 'Sessions', 'before signing out');
await ada.go(`${site.url}/sign-out`);
await ada.press('Sign out');
for (let n = 0; n < 2; n += 1) await ada.page.goBack();
await ada.page.waitForLoadState();
is(await heading(ada), 'Sign in', 'after going back');

await browser.close();
for (const app of apps) app.close();
