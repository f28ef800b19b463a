// Somebody looks after their own account by keyboard alone, in a window of 320 pixels. Then they sign out, and somebody else
// presses the back button.

import { Site, Tab, browser, given } from './kit.mjs';
import { Person, heading, is, where } from './person.mjs';

const site = new Site(given.sites.main);
const SAFARI = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1';
const NEW = 'another battery staple';

await site.call('POST', '/apps', { name: 'Notes', url: 'http://notes.localhost', access: 'everyone' });
await site.person('ada');
const phone = await Tab.open({ userAgent: SAFARI });
await phone.signIn(site, 'ada');

const ada = await Person.come({ viewport: { width: 320, height: 640 } });
const { page } = ada.tab;

/** Whether a page has come that fits the window. */
async function isAt(path, title) {
    is([where(ada.tab), await heading(ada.tab)], [path, title], 'the page');
    is(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${path} fits the window`);
    is(await page.getByText('Signed in as ada').count(), 1, `${path} says who is signed in`);
}

async function lookAfterTheAccount() {
    await ada.go(site.url);
    await ada.signIn('ada');
    await isAt('/', 'Welcome, ada');
    await ada.use('link', 'Account');
    await isAt('/account', 'Profile');
    await ada.type('Display name', 'Ada Lovelace');
    await ada.use('button', 'Save');
    await isAt('/account', 'Profile');

    await ada.use('link', 'Sessions');
    await isAt('/account/sessions', 'Sessions');
    await ada.use('button', 'End the session of Safari on an iPhone, IP address 127.0.0.1');
    await isAt('/account/sessions', 'Sessions');
    await phone.go(`${site.url}/account`);
    is(where(phone), '/sign-in', 'the phone is signed out');

    await ada.use('link', 'App tokens');
    await isAt('/account/app-tokens', 'App tokens');
    await ada.type('Name', 'Phone');
    await ada.use('button', 'Create app token');
    await isAt('/account/app-tokens', 'The app token for Phone');
    const token = await page.locator('pre').innerText();
    await ada.use('link', 'Back to your app tokens');
    await ada.use('button', 'Revoke the app token Phone');
    await isAt('/account/app-tokens', 'App tokens');

    await ada.use('link', 'History');
    await isAt('/account/history', 'History');
    is(await page.getByText('You ended a session of your own').count(), 1, 'the session is in the history');

    await ada.use('link', 'Password');
    await isAt('/account/password', 'Password');
    await ada.type('New password', NEW);
    await ada.use('button', 'Set password');
    await isAt('/account', 'Profile');
    await ada.use('link', 'usher');
    await isAt('/', 'Welcome, Ada Lovelace');
    return token;
}

/** Whether the browser shows nothing of the account any more, wherever it goes back to. */
async function nothingIsLeft(token) {
    let looked = 0;
    for (; looked < 40 && page.url() !== 'about:blank'; looked += 1) {
        // What a form has answered can't be had again, and the browser says so.
        await page.goBack().catch(() => undefined);
        const text = await page.locator('body').innerText();
        const left = ['Signed in as', 'Ada', 'Notes', token].filter((secret) => text.includes(secret));
        is(left, [], `what ${page.url()} shows`);
    }
    is(looked > 10 && looked < 40, true, `${looked} pages were looked at`);
}

async function deleteTheAccount() {
    await ada.go(`${site.url}/account/delete`);
    await ada.type('Username or e-mail', 'ada');
    await ada.type('Password', NEW);
    await ada.use('button', 'Sign in');
    await isAt('/account/delete', 'Delete account');
    await ada.type('Your username', 'ada');
    await ada.use('button', 'Delete my account');
    is(await heading(ada.tab), 'The account is deleted', 'the end');
}

try {
    const token = await lookAfterTheAccount();
    await ada.use('link', 'Sign out');
    await ada.use('button', 'Sign out');
    is(where(ada.tab), '/sign-in', 'after signing out');
    await nothingIsLeft(token);
    await deleteTheAccount();
} catch (error) {
    console.error(error.stack);
    process.exitCode = 1;
}
await browser.close();
