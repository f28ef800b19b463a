// A family behind a proxy: an administrator who never opens a shell, and people with phones. None of their browsers runs
// scripts, and all have windows of 320 pixels.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
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

/** Moves the clock of the service. */
const moveClock = (by) => writeFileSync(given.clock, by);

/** Whether the page fits the window. */
async function fits(tab) {
    const [needed, wide] = await tab.page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    is([tab.page.viewportSize().width, needed <= wide], [320, true], `${tab.page.url()} needs ${needed} pixels`);
}

const heading = (tab) => tab.page.locator('h1').innerText();
async function link(tab, name) {
    await Promise.all([tab.page.waitForEvent('load'), tab.page.getByRole('link', { name, exact: true }).first().click()]);
    await fits(tab);
}
const says = (tab, text) => tab.page.getByText(text).first().waitFor();

/** Types into a form and sends it, as a browser without scripts lets one. */
async function send(tab, fields, button) {
    for (const [label, text] of Object.entries(fields)) {
        const field = tab.page.getByLabel(label, { exact: true });
        if (await field.evaluate((it) => it.tagName) === 'SELECT') await field.selectOption({ label: text });
        else await field.fill(text);
    }
    await fits(tab);
    await tab.press(button);
    await fits(tab);
}

async function signIn(tab, username, password) {
    await tab.go(`${site.url}/sign-in`);
    await send(tab, { 'Username or e-mail': username, Password: password }, 'Sign in');
}

/** What a phone reads from each QR code on a page: of a picture of the whole screen, the part at which it is held. */
async function codes(tab) {
    const page = PNG.sync.read(await tab.page.screenshot({ fullPage: true }));
    const margin = 8;
    const read = [];
    for (const code of await tab.page.locator('svg.qr').all()) {
        const box = await code.boundingBox();
        const [left, top] = [box.x - margin, box.y - margin].map((at) => Math.max(0, Math.floor(at)));
        const width = Math.min(page.width - left, Math.ceil(box.width) + 2 * margin);
        const height = Math.min(page.height - top, Math.ceil(box.height) + 2 * margin);
        const part = new PNG({ width, height });
        PNG.bitblt(page, part, left, top, width, height, 0, 0);
        read.push(readCode(new Uint8ClampedArray(part.data), width, height)?.data);
    }
    return read;
}

// ---- The administrator sets up, without a shell
const root = await Tab.open(PHONE);
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
/** The status with which an app answers a client that is no browser. */
async function asClient(app, token) {
    const { host } = new URL(app);
    const [, , proxy] = given.resolve.find((rule) => rule.includes(` ${host} `)).split(' ');
    const { stdout } = await promisify(execFile)('curl', [
        '--silent', '--show-error', '--output', '/dev/null', '--write-out', '%{http_code}', '--max-time', '20', '--noproxy', '*',
        '--cacert', given.authority, '--connect-to', `${host}:443:${proxy}`, '--user', `any:${token}`, `${app}/data`,
    ]);
    return Number(stdout);
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
    const tried = [[notes, token], [notes, `${token.slice(0, -1)}_`], [wiki, token]];
    const answers = await Promise.all(tried.map(([app, secret]) => asClient(app, secret)));
    is(answers, [200, 401, 401], 'a native client');
}

// ---- A stranger guesses, today and tomorrow
const stranger = await Tab.open(PHONE);
/** Guesses a password until the stranger must wait, or some times. */
async function guess(times) {
    for (let n = 0; n < times; n += 1) {
        await signIn(stranger, 'clara', 'a guess');
        if (stranger.answer.status() === 429) return;
    }
}
await guess(3);
await root.page.waitForTimeout(1_500); // refusals are written together
const day = (ago) => new Date(Date.now() + (1 - ago) * 86_400_000).toISOString().slice(0, 10);
moveClock('+1d');
await guess(30);
is(stranger.answer.status(), 429, 'the guesses');
const clara = await Tab.open(PHONE);
await signIn(clara, 'clara', `${given.password} of clara`);
is([await heading(clara), clara.answer.status()], ['Sign in', 429], 'clara at a browser that is new to her');

// ---- Yesterday's refusals, as a number and one by one
await root.go(site.url);
await link(root, 'Administration');
await root.page.getByText('The numbers as a table').click();
const row = root.page.getByRole('row', { name: day(1) });
is(Number(await row.locator('[data-label=Refusals]').innerText()) >= 3, true, 'yesterday’s refusals');
await link(root, 'Audit log');
await send(root, { Action: 'session.sign_in_failed', 'First day (UTC)': day(1), 'Last day (UTC)': day(1) }, 'Show');
await says(root, /failed to sign in to clara/i);
const days = await root.page.locator('tbody time').evaluateAll((times) => times.map((time) => time.dateTime.slice(0, 10)));
is([days.length > 0, [...new Set(days)]], [true, [day(1)]], 'the days of what is shown');

// ---- An account is unlocked, by an administrator who has to say again that it is them
await administer('clara');
await root.press('Unlock');
is([await heading(root), root.answer.status()], ['Confirm that it is you', 403], 'a day after the sign-in');
// The page after it leads on by itself.
await root.page.getByLabel('Password', { exact: true }).fill(given.password);
await root.press('Confirm');
await says(root, 'unlocked');
await fits(root);
await signIn(clara, 'clara', `${given.password} of clara`);
is(await heading(clara), 'Welcome, clara', 'after it was unlocked');

// ---- A stolen session is ended
await phones.dmitri.go(`${site.url}/account/sessions`);
const thief = await Tab.open(PHONE);
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
