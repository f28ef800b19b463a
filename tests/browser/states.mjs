// Opens every page in each of its states, and looks at it: light and dark, on a phone and on a desk.
//
// A route that the service has and this list lacks is a fault.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { serve } from './app.mjs';
import { failures } from './failures.mjs';
import { onAppHosts, post } from './hosts.mjs';
import { Site, Tab, browser, given } from './kit.mjs';
import { isFor, lookAt, prepare } from './looks.mjs';

const { main, closed, invite, plain, empty, stale, troubled } = Object.fromEntries(
    Object.entries(given.sites).map(([name, site]) => [name, new Site(site)]),
);
const [notes, wiki] = given.apps.map((host) => `https://${host}`);
const LONG_USERNAME = 'a-username-that-is-as-long-as-the-rules-allow_0123456789.ABCDEFG';
const LONG_APP = 'Photographs of the family, from 1890 until today';

/** What nobody accepts. */
const faulty = { Username: 'not a username', 'E-mail address': 'nobody', Password: 'short' };

const { states, beforeTheWiki } = onAppHosts(main);
/** A state of a page: the request that shows it, how one gets there, and the status of the answer. */
const state = (route, name, open, status = 200) => states.push({ route, name, open, status });

// ---- The first page
state('GET /', 'without an administrator', (tab) => tab.go(`${empty.url}/`));
state('GET /', 'signed in', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'ada');
});
state('GET /', 'with several apps', (tab) => tab.signIn(main, 'root'));
state('GET /', 'without an app', async (tab) => {
    await invite.person('ada');
    await tab.signIn(invite, 'ada');
});
state('GET /', 'signed in with a long name', async (tab) => {
    await main.person(LONG_USERNAME);
    await tab.signIn(main, LONG_USERNAME);
});

// ---- Setting up
state('GET /setup', 'empty', (tab) => tab.go(empty.setup));
state('GET /setup', 'no link', (tab) => tab.go(`${empty.url}/setup`), 400);
state('GET /setup', 'a link that has ended', (tab) => tab.go(closed.setup), 400);
state('POST /setup', 'all fields at fault', async (tab) => {
    await tab.go(empty.setup);
    await tab.send(faulty, 'Create administrator');
}, 400);
state('POST /setup', 'another link was opened', async (tab) => {
    await tab.go(empty.setup);
    await (await tab.another()).go(empty.setup.replace(/\?.*/, '?token=none'));
    await tab.send(faulty, 'Create administrator');
}, 400);

// ---- Protecting an app
const NEW = '/admin/apps/new';
/** A tab of an administrator at a path. */
async function administer(tab, site, path) {
    await tab.signIn(site, 'root');
    await tab.go(site.url + path);
}
state(`GET ${NEW}`, 'empty', (tab) => administer(tab, closed, NEW));
state(`GET ${NEW}`, 'anybody may register', (tab) => administer(tab, main, NEW));
state(`GET ${NEW}`, 'not signed in', (tab) => tab.go(closed.url + NEW));
state(`GET ${NEW}`, 'not an administrator', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'ada');
    await tab.go(main.url + NEW);
}, 403);
state(`POST ${NEW}`, 'all fields at fault', async (tab) => {
    await administer(tab, closed, NEW);
    await tab.send({ Name: 'a\u202eb', URL: 'notes', 'Where the proxy finds the app': 'here' }, 'Protect app');
}, 400);
state(`POST ${NEW}`, 'a host that is taken', async (tab) => {
    await administer(tab, main, NEW);
    await tab.send({ Name: 'Notes', URL: notes, 'Where the proxy finds the app': '127.0.0.1:3000' }, 'Protect app');
}, 409);
state(`POST ${NEW}`, 'leads to what the proxy needs', async (tab) => {
    await administer(tab, invite, NEW);
    const url = 'http://wiki.localhost';
    await tab.send({ Name: 'Wiki', URL: url, 'Where the proxy finds the app': '127.0.0.1:3000' }, 'Protect app');
});
const APP = 'GET /admin/apps/{app_id}';
for (const proxy of ['nginx', 'caddy', 'traefik']) {
    state(APP, `behind ${proxy}`, async (tab) => {
        await administer(tab, main, `/admin/apps/${photographs.id}?proxy=${proxy}&upstream=photographs.internal:8443`);
    });
}
state(APP, 'asked about', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'ada');
    await tab.go(`${notes}/x`);
    await administer(tab, main, '/');
    await tab.page.waitForTimeout(1_500); // what was asked is written together
    await tab.go(`${main.url}/admin/apps/1`);
});
state(APP, 'not there', (tab) => administer(tab, main, '/admin/apps/77'), 404);

// ---- Accounts
const USERS = '/admin/users';
state(`GET ${USERS}`, 'a few accounts', async (tab) => {
    for (const name of ['ada', 'nadia', LONG_USERNAME]) await main.person(name);
    await main.call('PUT', `/users/${(await main.person(LONG_USERNAME)).id}`, { display_name: 'W'.repeat(100) });
    await main.call('PUT', `/groups/1/members/${(await main.person('ada')).id}`, {});
    await administer(tab, main, USERS);
});
state(`GET ${USERS}`, 'found nobody', (tab) => administer(tab, main, `${USERS}?q=nobody-has-this&role=admin`));
state(`GET ${USERS}`, 'further pages', async (tab) => {
    for (let n = 10; n < 62; n += 1) await closed.person(`person-${n}`);
    await administer(tab, closed, `${USERS}?sort=username`);
    await tab.page.getByRole('link', { name: 'Next page' }).click();
    await tab.page.getByRole('link', { name: 'First page' }).waitFor();
});
state(`GET ${USERS}`, 'a search that is too long', (tab) => administer(tab, main, `${USERS}?q=${'a'.repeat(255)}`), 400);
state(`GET ${USERS}`, 'not a page of it', (tab) => administer(tab, main, `${USERS}?cursor=x`), 400);
state(`GET ${USERS}/new`, 'empty', (tab) => administer(tab, main, `${USERS}/new`));
state(`POST ${USERS}/new`, 'all fields at fault', async (tab) => {
    await administer(tab, main, `${USERS}/new`);
    await tab.send(faulty, 'Create account');
}, 400);
state(`POST ${USERS}/new`, 'leads to the account', async (tab) => {
    await administer(tab, main, `${USERS}/new`);
    await tab.send({ Username: 'grandma', 'E-mail address': 'grandma@example.com', Password: given.password }, 'Create account');
});
const USER = `${USERS}/{user_id}`;
const SECOND_LONG_USERNAME = LONG_USERNAME.replace('a-user', 'b-user');
// ---- Many accounts at once
const IMPORT = `${USERS}/import`;
/** A line of a file. */
const account = (username, more) => `${JSON.stringify({ username, email: `${username}@example.com`, password_hash: '!', ...more })}\n`;
/** Sends the form when no other file is on its way: the service takes one at a time. */
let lastUpload = Promise.resolve();
function sendInTurn(tab) {
    const sent = lastUpload.then(() => tab.press('Import'));
    lastUpload = sent.catch(() => {});
    return sent;
}
/** A tab of an administrator who has uploaded a file. */
async function upload(tab, site, text, isDryRun = true) {
    await administer(tab, site, IMPORT);
    await chooseFile(tab, text);
    if (!isDryRun) await tab.page.getByRole('checkbox').uncheck();
    await sendInTurn(tab);
}
async function chooseFile(tab, text) {
    const folder = await mkdtemp(`${tmpdir()}/usher-`);
    await writeFile(`${folder}/accounts.jsonl`, text);
    tab.context.once('close', () => rm(folder, { recursive: true }));
    await tab.page.getByLabel('File', { exact: true }).setInputFiles(`${folder}/accounts.jsonl`);
}
/** A tab of an administrator whose sign-in is too old, after they have confirmed the password. */
async function confirmToImport(tab) {
    await administer(tab, stale, '/');
    await tab.page.waitForTimeout(1_500); // a sign-in is recent for a second here
    await tab.go(stale.url + IMPORT);
    await tab.send({ Password: given.password }, 'Confirm');
    await tab.page.getByRole('heading', { name: 'Import accounts' }).waitFor();
}
state(`GET ${IMPORT}`, 'empty', (tab) => administer(tab, main, IMPORT));
state(`GET ${IMPORT}`, 'the password is confirmed', confirmToImport);
state(`POST ${IMPORT}`, 'what would be imported', (tab) => upload(tab, main, account('una') + account('ute', { role: 'admin' })));
state(`POST ${IMPORT}`, 'imported', async (tab) => {
    await upload(tab, invite, account('una') + account('ute', { disabled: true }), false);
    await tab.page.getByText('All accounts of the file were imported.').waitFor();
});
state(`POST ${IMPORT}`, 'many lines at fault', (tab) => {
    return upload(tab, main, `${account('root')}{\n${account(LONG_USERNAME, { [LONG_USERNAME]: 1, role: 7 })}${'{}\n'.repeat(99)}`);
}, 400);
state(`POST ${IMPORT}`, 'a CSV file', (tab) => upload(tab, main, 'username,email\nuna,una@example.com\n'), 400);
state(`POST ${IMPORT}`, 'no file', async (tab) => {
    await administer(tab, main, IMPORT);
    await tab.page.evaluate(() => document.forms[0].setAttribute('novalidate', ''));
    await sendInTurn(tab);
}, 400);
state(`POST ${IMPORT}`, 'larger than it may be', (tab) => upload(tab, main, '\n'.repeat(17 << 20)), 413);
state(`POST ${IMPORT}`, 'the sign-in is too old', async (tab) => {
    await confirmToImport(tab);
    await chooseFile(tab, '\n'.repeat(3 << 20));
    await tab.page.waitForTimeout(1_500);
    await sendInTurn(tab);
}, 403);

/** A tab of an administrator at an account. */
async function lookAfterOther(tab, username) {
    const { id } = await main.person(username);
    await administer(tab, main, `${USERS}/${id}`);
    return id;
}
state(`GET ${USER}`, 'an account with a long name and sessions', async (tab) => {
    const { id } = await main.person(SECOND_LONG_USERNAME);
    await main.call('PUT', `/groups/1/members/${id}`, {});
    const own = await Tab.open();
    await own.signIn(main, SECOND_LONG_USERNAME);
    await own.go(`${notes}/x`);
    await own.close();
    await lookAfterOther(tab, SECOND_LONG_USERNAME);
});
state(`GET ${USER}`, 'one’s own', (tab) => administer(tab, invite, `${USERS}/1`));
state(`GET ${USER}`, 'not there', (tab) => administer(tab, main, `${USERS}/77777`), 404);
state(`POST ${USER}`, 'saved', async (tab) => {
    await lookAfterOther(tab, 'ines');
    await tab.send({ 'Display name': 'Inês 🦉', Username: 'ines2' }, 'Save');
});
state(`POST ${USER}`, 'all fields at fault', async (tab) => {
    await lookAfterOther(tab, 'ivan');
    await tab.send({ 'Display name': 'a\u202eb', Username: 'not a username', 'E-mail address': 'nobody' }, 'Save');
}, 400);
state(`POST ${USER}`, 'changed meanwhile', async (tab) => {
    const id = await lookAfterOther(tab, 'iris');
    await main.call('PUT', `/users/${id}`, { display_name: 'Iris', role: 'admin' });
    await tab.send({ Username: 'iris2' }, 'Save');
}, 412);
state(`POST ${USER}/groups`, 'saved', async (tab) => {
    await lookAfterOther(tab, 'igor');
    await tab.page.getByLabel('family').check();
    await tab.press('Save groups');
});
state(`POST ${USER}/sessions`, 'all of them', async (tab) => {
    await main.person('ilse');
    await main.send('POST', '/auth/login', { email: 'ilse@example.com', password: given.password });
    await lookAfterOther(tab, 'ilse');
    await tab.press('End all sessions');
});
state(`POST ${USER}/disable`, 'disabled', async (tab) => {
    await lookAfterOther(tab, 'inga');
    await tab.press('Disable account');
});
state(`POST ${USER}/disable`, 'the last administrator', async (tab) => {
    await administer(tab, invite, `${USERS}/1`);
    await tab.press('Disable account');
}, 409);
state(`POST ${USER}/enable`, 'enabled', async (tab) => {
    await main.call('PUT', `/users/${(await main.person('isak')).id}`, { disabled: true });
    await lookAfterOther(tab, 'isak');
    await tab.press('Enable account');
});
state(`POST ${USER}/unlock`, 'unlocked', async (tab) => {
    await lookAfterOther(tab, 'ingo');
    await tab.press('Unlock');
});
state(`POST ${USER}/reset`, 'a link, shown once', async (tab) => {
    await lookAfterOther(tab, 'ida');
    await tab.press('Create a link for a new password');
}, 201);
state(`POST ${USER}/delete`, 'the username is not that of the account', async (tab) => {
    await lookAfterOther(tab, 'ilja');
    await tab.page.getByLabel('Username of the account').fill('somebody');
    await tab.press('Delete account');
}, 400);
state(`POST ${USER}/delete`, 'deleted', async (tab) => {
    await lookAfterOther(tab, 'gone');
    await tab.page.getByLabel('Username of the account').fill('gone');
    await tab.press('Delete account');
});

state(`POST ${USER}/app-tokens`, 'revoked', async (tab) => {
    const { id } = await main.person('irma');
    const { token } = await main.send('POST', '/auth/login', { email: 'irma@example.com', password: given.password });
    for (const name of ['Music on the phone', 'Надя 🦉 نادية']) {
        await main.send('POST', `/users/${id}/app-tokens`, { name, app_id: 1 }, token);
    }
    await lookAfterOther(tab, 'irma');
    await tab.page.getByRole('button', { name: 'Revoke the app token Music on the phone' }).click();
    await tab.page.getByText('The app token was revoked.').waitFor();
});

// ---- Groups
const GROUPS = '/admin/groups';
state(`GET ${GROUPS}`, 'a few groups', (tab) => administer(tab, main, GROUPS));
state(`GET ${GROUPS}`, 'no group', (tab) => administer(tab, closed, GROUPS));
state(`POST ${GROUPS}`, 'a name that is taken', async (tab) => {
    await administer(tab, main, GROUPS);
    await tab.send({ Name: 'Family' }, 'Create group');
}, 409);
state(`POST ${GROUPS}`, 'leads to the group', async (tab) => {
    await administer(tab, main, GROUPS);
    await tab.send({ Name: 'choir' }, 'Create group');
});
const GROUP = `${GROUPS}/{group_id}`;
/** A tab of an administrator at a group with a member. */
async function lookAfterGroup(tab, name) {
    const group = await main.call('POST', '/groups', { name });
    await main.call('PUT', `/groups/${group.id}/members/${(await main.person(LONG_USERNAME)).id}`, {});
    await main.call('PUT', `/groups/${group.id}/members/${(await main.person('ada')).id}`, {});
    await administer(tab, main, `${GROUPS}/${group.id}`);
    return group.id;
}
state(`GET ${GROUP}`, 'with members', (tab) => lookAfterGroup(tab, LONG_USERNAME.replace('a-user', 'group-')));
state(`GET ${GROUP}`, 'not there', (tab) => administer(tab, main, `${GROUPS}/777`), 404);
state(`POST ${GROUP}`, 'not a name', async (tab) => {
    await lookAfterGroup(tab, 'neighbours');
    await tab.page.getByRole('textbox', { name: 'Name', exact: true }).fill('the neighbours');
    await tab.press('Rename');
}, 400);
state(`POST ${GROUP}/join`, 'nobody has this name', async (tab) => {
    await lookAfterGroup(tab, 'colleagues');
    await tab.page.getByLabel('Username or e-mail address').fill('nobody-has-this');
    await tab.press('Add member');
}, 400);
state(`POST ${GROUP}/leave`, 'removed', async (tab) => {
    await lookAfterGroup(tab, 'friends');
    await tab.page.getByRole('button', { name: 'Remove ada' }).click();
    await tab.page.getByText('no longer in the group').waitFor();
});
state(`POST ${GROUP}/sessions`, 'all have ended', async (tab) => {
    await main.call('POST', '/groups', { name: 'guests' }).then(({ id }) => administer(tab, main, `${GROUPS}/${id}`));
    await tab.press('End all sessions of members');
});
state(`POST ${GROUP}/delete`, 'deleted', async (tab) => {
    await main.call('POST', '/groups', { name: 'short-lived' }).then(({ id }) => administer(tab, main, `${GROUPS}/${id}`));
    await tab.press('Delete group');
});
state(`POST ${GROUP}/delete`, 'an app lets it in', async (tab) => {
    const { id } = await invite.call('POST', '/groups', { name: 'readers' });
    await invite.call('POST', '/apps', { name: 'Books', url: 'http://books.localhost', access: 'groups', groups: ['readers'] });
    await administer(tab, invite, `${GROUPS}/${id}`);
    await tab.press('Delete group');
}, 409);

// ---- Inviting
const INVITATIONS = '/admin/invitations';
state(`GET ${INVITATIONS}`, 'none, and registration is closed', (tab) => administer(tab, closed, INVITATIONS));
state(`GET ${INVITATIONS}`, 'a few', async (tab) => {
    await main.invitation({ email: `${LONG_USERNAME}@example.com`, role: 'admin' });
    await main.invitation();
    await administer(tab, main, INVITATIONS);
});
state(`POST ${INVITATIONS}`, 'fields at fault', async (tab) => {
    await administer(tab, main, INVITATIONS);
    await tab.page.evaluate(() => [...document.forms].forEach((form) => form.setAttribute('novalidate', '')));
    await tab.send({ 'E-mail address': 'nobody', 'How many': '101' }, 'Create invitation');
}, 400);
state(`POST ${INVITATIONS}`, 'one link', async (tab) => {
    await administer(tab, invite, INVITATIONS);
    await tab.send({ 'E-mail address': 'grandma@example.com' }, 'Create invitation');
}, 201);
state(`POST ${INVITATIONS}`, 'twenty links', async (tab) => {
    await administer(tab, invite, INVITATIONS);
    await tab.send({ 'How many': '20' }, 'Create invitation');
}, 201);
state(`POST ${INVITATIONS}/{invitation_id}/delete`, 'deleted', async (tab) => {
    await invite.invitation({ email: 'deleted@example.com' });
    await administer(tab, invite, INVITATIONS);
    await tab.page.locator('tr', { hasText: 'deleted@example.com' }).getByRole('button').first().click();
    await tab.page.getByText('The invitation was deleted.').waitFor();
});

// ---- The overview and the state of the service
state('GET /admin', 'busy', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'nobody', 'wrong');
    await tab.signIn(main, 'ada');
    await administer(tab, main, '/admin');
});
state('GET /admin', 'the numbers', async (tab) => {
    await administer(tab, closed, '/admin');
    await tab.page.getByText('The numbers as a table').click();
});
state('GET /admin', 'not an administrator', (tab) => lookAfter(tab, 'ada', '/admin'), 403);
state('GET /admin/health', 'warnings', (tab) => administer(tab, main, '/admin/health'));
state('GET /admin/health', 'without TLS', (tab) => administer(tab, plain, '/admin/health'));

// ---- The audit log
const AUDIT = '/admin/audit';
state(`GET ${AUDIT}`, 'what happened', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'ada', 'wrong');
    await tab.signIn(main, 'ada');
    await administer(tab, main, AUDIT);
});
state(`GET ${AUDIT}`, 'of one account', (tab) => administer(tab, main, `${AUDIT}?account=root&part=actor`));
state(`GET ${AUDIT}`, 'nothing of this kind', (tab) => administer(tab, main, `${AUDIT}?action=user.imported`));
state(`GET ${AUDIT}`, 'of nobody', (tab) => administer(tab, main, `${AUDIT}?account=a-username-of-nobody`), 400);
state(`GET ${AUDIT}/export`, 'the sign-in is too old', async (tab) => {
    await administer(tab, stale, AUDIT);
    await tab.page.waitForTimeout(1_500); // a sign-in is recent for a second here
    await tab.go(`${stale.url}${AUDIT}/export?format=csv`);
}, 403);
state(`GET ${AUDIT}/export`, 'not a format', (tab) => administer(tab, main, `${AUDIT}/export?format=pdf`), 400);

// ---- Apps
const APPS = '/admin/apps';
/** A tab of an administrator at an app of its own. */
async function administerApp(tab, name, host) {
    await invite.call('POST', '/groups', { name: `${host}-friends` });
    const { id } = await invite.call('POST', '/apps', { name, url: `http://${host}.localhost`, access: 'admins' });
    await administer(tab, invite, `${APPS}/${id}`);
}
state(`GET ${APPS}`, 'several', (tab) => administer(tab, main, APPS));
state(`GET ${APPS}`, 'none', (tab) => administer(tab, plain, APPS));
state(`GET ${APPS}`, 'not there', (tab) => administer(tab, main, `${APPS}?cursor=none`), 400);
state(`POST ${APP.slice(4)}`, 'saved', async (tab) => {
    await administerApp(tab, 'First', 'first');
    await tab.page.getByLabel('first-friends').check();
    await tab.page.getByLabel('Who may enter').selectOption('groups');
    await tab.send({ Name: 'Надя\'s 🦉 <b>notes</b>' }, 'Save');
});
state(`POST ${APP.slice(4)}`, 'all fields at fault', async (tab) => {
    await administerApp(tab, 'Second', 'second');
    await tab.page.getByLabel('Who may enter').selectOption('groups');
    await tab.send({ Name: 'a\u202eb', URL: 'notes' }, 'Save');
}, 400);
state(`POST ${APP.slice(4)}/delete`, 'another name was typed', async (tab) => {
    await administerApp(tab, 'Third', 'third');
    await tab.send({ 'Name of the app': 'First' }, 'Delete the app');
}, 400);
state(`POST ${APP.slice(4)}/delete`, 'deleted', async (tab) => {
    await administerApp(tab, 'Fourth', 'fourth');
    await tab.send({ 'Name of the app': 'Fourth' }, 'Delete the app');
});

// ---- Signing in
state('GET /sign-in', 'empty', (tab) => tab.go(`${main.url}/sign-in`));
state('GET /sign-in', 'registration closed', (tab) => tab.go(`${closed.url}/sign-in`));
state('GET /sign-in', 'not encrypted', (tab) => tab.go(`${plain.url}/sign-in`));
state('GET /sign-in', 'signed in already', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'ada');
    await tab.go(`${main.url}/sign-in`);
});
state('POST /sign-in', 'refused', (tab) => tab.signIn(main, 'nobody', 'wrong'), 401);
state('POST /sign-in', 'nothing typed', async (tab) => {
    await tab.go(`${main.url}/sign-in`);
    await tab.send({}, 'Sign in');
}, 401);
state('POST /sign-in', 'waiting time', async (tab) => {
    await closed.person('guessed');
    const guess = () => fetch(`${closed.api}/auth/login`, {
        method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: 'guessed@example.com', password: 'wrong' }),
    });
    while ((await guess()).status !== 429);
    await tab.signIn(closed, 'guessed@example.com', 'wrong');
}, 429);
state('POST /sign-in', 'not a form', async (tab) => {
    await tab.go(`${main.url}/sign-in`);
    await tab.page.evaluate(() => { document.forms[0].enctype = 'text/plain'; });
    await tab.send({}, 'Sign in');
}, 415);
state('POST /sign-in', 'too large', async (tab) => {
    await tab.go(`${main.url}/sign-in`);
    await tab.send({ Password: 'a'.repeat(70_000) }, 'Sign in');
}, 413);

// ---- Confirming the password
/** A tab of an administrator whose sign-in is too old to register an app, after they have tried to. */
async function tryToProtect(tab) {
    await administer(tab, stale, NEW);
    await tab.page.waitForTimeout(1_500); // a sign-in is recent for a second here
    const typed = { Name: 'Wiki & more', URL: 'http://wiki.localhost', 'Where the proxy finds the app': '127.0.0.1:3000' };
    await tab.send(typed, 'Protect app');
}
state(`POST ${NEW}`, 'the sign-in is too old', tryToProtect, 403);
state('POST /confirm', 'a wrong password', async (tab) => {
    await tryToProtect(tab);
    await tab.send({ Password: 'wrong' }, 'Confirm');
}, 401);
state('POST /confirm', 'what was sent is sent again', async (tab) => {
    await tryToProtect(tab);
    await tab.send({ Password: given.password }, 'Confirm');
    await tab.page.getByRole('heading', { name: 'Wiki & more' }).waitFor();
});
state('GET /confirm', 'leads to the first page', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'ada');
    await tab.go(`${main.url}/confirm`);
});

// ---- One's own account
/** A tab of somebody at a page of their account. */
async function lookAfter(tab, username, path) {
    await main.person(username);
    await tab.signIn(main, username);
    await tab.go(main.url + path);
}
state('GET /account', 'profile', (tab) => lookAfter(tab, 'ada', '/account'));
state('GET /account', 'not signed in', (tab) => tab.go(`${main.url}/account`));
state('POST /account', 'saved', async (tab) => {
    await lookAfter(tab, 'nadia', '/account');
    await tab.send({ 'Display name': 'Надя 🦉 نادية' }, 'Save');
});
state('POST /account', 'all fields at fault', async (tab) => {
    await lookAfter(tab, 'ada', '/account');
    await tab.send({ 'Display name': 'a\u202eb', Username: 'not a username', 'E-mail address': 'nobody' }, 'Save');
}, 400);
state('POST /account', 'changed meanwhile', async (tab) => {
    await lookAfter(tab, 'olga', '/account');
    await main.call('PUT', `/users/${(await main.person('olga')).id}`, { display_name: 'Olga' });
    await tab.send({ Username: 'olga2' }, 'Save');
}, 412);

/** Makes everything that asks for a recent sign-in ask for the password. */
const tooOld = (tab) => tab.page.waitForTimeout(1_500); // a sign-in is recent for a second there
state('GET /account/password', 'empty', (tab) => lookAfter(tab, 'ada', '/account/password'));
state('GET /account/password', 'not encrypted', async (tab) => {
    await plain.person('ada');
    await tab.signIn(plain, 'ada');
    await tab.go(`${plain.url}/account/password`);
});
state('GET /account/password', 'the sign-in is too old', async (tab) => {
    await stale.person('ada');
    await tab.signIn(stale, 'ada');
    await tooOld(tab);
    await tab.go(`${stale.url}/account/password`);
}, 403);
state('POST /account/password', 'set', async (tab) => {
    await lookAfter(tab, 'paula', '/account/password');
    await tab.send({ 'New password': 'another battery staple' }, 'Set password');
});
state('POST /account/password', 'a password that is too short', async (tab) => {
    await lookAfter(tab, 'ada', '/account/password');
    await tab.send({ 'New password': 'short' }, 'Set password');
}, 400);
state('GET /account/sessions', 'this one and a program', (tab) => lookAfter(tab, 'ada', '/account/sessions'));
/** A tab of somebody who has signed in in many ways, with an app behind this browser. */
async function lookAtSessions(tab, username) {
    await main.person(username);
    const agents = [
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1',
        'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0',
        '<b>\u202eresworb</b> '.repeat(12),
    ];
    for (const userAgent of agents) {
        const other = await Tab.open({ userAgent: userAgent.replace(/[^ -~]/g, '') });
        await other.signIn(main, username);
        await other.go(`${notes}/x`);
        await other.close();
    }
    await tab.signIn(main, username);
    await tab.go(`${notes}/x`);
    await main.send('POST', '/auth/login', { email: `${username}@example.com`, password: given.password });
    await tab.go(`${main.url}/account/sessions`);
}
state('GET /account/sessions', 'many, with apps', (tab) => lookAtSessions(tab, 'traveller'));
state('POST /account/sessions', 'one has ended', async (tab) => {
    await lookAtSessions(tab, 'traveller-2');
    await Promise.all([
        tab.page.waitForEvent('load'),
        tab.page.getByRole('button', { name: /^End the session of Safari on an iPhone, IP address / }).click(),
    ]);
});
state('POST /account/sessions', 'all have ended', async (tab) => {
    await lookAfter(tab, 'traveller-3', '/account/sessions');
    await tab.press('End all sessions');
});
state('GET /account/app-tokens', 'none yet', (tab) => lookAfter(tab, 'ada', '/account/app-tokens'));
state('GET /account/app-tokens', 'without an app', async (tab) => {
    await invite.person('ada');
    await tab.signIn(invite, 'ada');
    await tab.go(`${invite.url}/account/app-tokens`);
});
state('GET /account/app-tokens', 'several', async (tab) => {
    await lookAfter(tab, LONG_USERNAME, '/account/app-tokens');
    for (const [name, life] of [['Music player on the phone', 'A year'], ['<b>وسم</b> 🎵 '.repeat(7).trim(), 'Never: until it is revoked']]) {
        await tab.page.getByLabel('Expires').selectOption(life);
        await tab.send({ Name: name }, 'Create app token');
        await tab.go(`${main.url}/account/app-tokens`);
    }
});
state('POST /account/app-tokens', 'shown once', async (tab) => {
    await lookAfter(tab, 'nadia', '/account/app-tokens');
    await tab.send({ Name: 'Music player on the phone' }, 'Create app token');
}, 201);
state('POST /account/app-tokens', 'a name at fault', async (tab) => {
    await lookAfter(tab, 'ada', '/account/app-tokens');
    await tab.send({ Name: 'a\u202eb' }, 'Create app token');
}, 400);
state('POST /account/app-tokens/revoke', 'revoked', async (tab) => {
    await lookAfter(tab, 'olga', '/account/app-tokens');
    await tab.send({ Name: 'Phone' }, 'Create app token');
    await tab.go(`${main.url}/account/app-tokens`);
    await tab.press('Revoke the app token Phone');
});
state('GET /account/history', 'of somebody who has done much', async (tab) => {
    const { id } = await main.person('historian');
    await main.send('POST', '/auth/login', { email: 'historian@example.com', password: 'wrong' }).catch(() => {});
    await main.call('PUT', `/users/${id}`, { display_name: 'Historian' });
    await main.call('DELETE', `/users/${id}/sessions`);
    await lookAfter(tab, 'historian', '/account/history');
});
state('GET /account/history', 'several pages', async (tab) => {
    const { id } = await main.person('historian-2');
    for (let n = 0; n < 60; n += 1) await main.call('PUT', `/users/${id}`, { display_name: `Historian ${n}` });
    await lookAfter(tab, 'historian-2', '/account/history');
    await Promise.all([tab.page.waitForEvent('load'), tab.page.getByRole('link', { name: 'Next page' }).click()]);
});
state('GET /account/history', 'a place that there is not', (tab) => lookAfter(tab, 'ada', '/account/history?cursor=x'), 400);
state('GET /account/delete', 'empty', (tab) => lookAfter(tab, LONG_USERNAME, '/account/delete'));
state('POST /account/delete', 'another name', async (tab) => {
    await lookAfter(tab, 'ada', '/account/delete');
    await tab.send({ 'Your username': 'bob' }, 'Delete my account');
}, 400);
state('POST /account/delete', 'the last administrator', async (tab) => {
    await tab.signIn(closed, 'root');
    await tab.go(`${closed.url}/account/delete`);
    await tab.send({ 'Your username': 'root' }, 'Delete my account');
}, 409);
state('POST /account/delete', 'deleted', async (tab) => {
    await lookAfter(tab, 'leaver', '/account/delete');
    await tab.send({ 'Your username': 'leaver' }, 'Delete my account');
});

// ---- Signing out
state('GET /sign-out', 'signed in', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'ada');
    await tab.page.getByRole('link', { name: 'Sign out' }).click();
});
state('GET /sign-out', 'not signed in', (tab) => tab.go(`${main.url}/sign-out`));
state('POST /sign-out', 'leads to the sign-in', async (tab) => {
    await main.person('ada');
    await tab.signIn(main, 'ada');
    await tab.go(`${main.url}/sign-out`);
    await tab.press('Sign out');
});

// ---- Registering
state('GET /register', 'empty', (tab) => tab.go(`${main.url}/register`));
state('GET /register', 'not encrypted', (tab) => tab.go(`${plain.url}/register`));
state('GET /register', 'signed in as somebody', async (tab) => {
    await main.person(LONG_USERNAME);
    await tab.signIn(main, LONG_USERNAME);
    await tab.go(`${main.url}/register`);
});
state('GET /register', 'closed', (tab) => tab.go(`${closed.url}/register`), 403);
state('GET /register', 'with an invitation only', (tab) => tab.go(`${invite.url}/register`), 403);
state('POST /register', 'all fields at fault', async (tab) => {
    await tab.go(`${main.url}/register`);
    await tab.send(faulty, 'Create account');
}, 400);
state('POST /register', 'a common password', async (tab) => {
    await tab.go(`${main.url}/register`);
    await tab.send({ Username: 'grace', 'E-mail address': 'grace@example.com', Password: 'password' }, 'Create account');
}, 400);
state('POST /register', 'a name that is taken', async (tab) => {
    await main.person('ada');
    await tab.go(`${main.url}/register`);
    await tab.send({ Username: 'Ada', 'E-mail address': 'grace@example.com', Password: given.password }, 'Create account');
}, 409);
state('POST /register', 'leads to the first page', async (tab) => {
    await tab.go(`${main.url}/register`);
    const typed = { Username: 'newcomer', 'E-mail address': 'newcomer@example.com', Password: given.password };
    await tab.send(typed, 'Create account');
});

// ---- Invitations
state('GET /invited', 'empty', async (tab) => tab.go(await invite.invitation()));
state('GET /invited', 'for an e-mail address', async (tab) => {
    await tab.go(await invite.invitation({ email: 'a-rather-long-name.of.somebody@department.example.com' }));
});
state('GET /invited', 'no link', (tab) => tab.go(`${invite.url}/invited`), 400);
state('GET /invited', 'a link that has ended', async (tab) => {
    const invitation = await invite.call('POST', '/invitations', {});
    await invite.call('DELETE', `/invitations/${invitation.id}`);
    await tab.go(`${invite.url}/invited?token=${invitation.token}`);
}, 400);
state('GET /invited', 'a link that is not whole', (tab) => tab.go(`${invite.url}/invited?token=ushi_0123`), 400);
state('POST /invited', 'all fields at fault', async (tab) => {
    await tab.go(await invite.invitation());
    await tab.send(faulty, 'Create account');
}, 400);
state('POST /invited', 'another link was opened', async (tab) => {
    await tab.go(await invite.invitation());
    await (await tab.another()).go(await invite.invitation());
    await tab.send(faulty, 'Create account');
}, 409);
state('POST /invited', 'used meanwhile', async (tab) => {
    const invitation = await invite.call('POST', '/invitations', {});
    await tab.go(`${invite.url}/invited?token=${invitation.token}`);
    await invite.call('DELETE', `/invitations/${invitation.id}`);
    await tab.send(faulty, 'Create account');
}, 400);

// ---- New passwords
state('GET /reset', 'empty', async (tab) => tab.go(await closed.reset('forgetful')));
state('GET /reset', 'signed in as somebody else', async (tab) => {
    await closed.person('ada');
    await tab.signIn(closed, 'ada');
    await tab.go(await closed.reset('forgetful-2'));
});
state('GET /reset', 'a long name', async (tab) => tab.go(await closed.reset(LONG_USERNAME)));
state('GET /reset', 'no link', (tab) => tab.go(`${closed.url}/reset`), 400);
state('GET /reset', 'a link that was replaced', async (tab) => {
    const first = await closed.reset('forgetful-3');
    await closed.reset('forgetful-3');
    await tab.go(first);
}, 400);
state('POST /reset', 'a password that is too short', async (tab) => {
    await tab.go(await closed.reset('forgetful-4'));
    await tab.send({ 'New password': 'short' }, 'Set password');
}, 400);
state('POST /reset', 'another link was opened', async (tab) => {
    await tab.go(await closed.reset('forgetful-5'));
    await (await tab.another()).go(await closed.reset('forgetful-6'));
    await tab.send({ 'New password': 'another battery' }, 'Set password');
}, 409);
state('POST /reset', 'the account is disabled', async (tab) => {
    await tab.go(await closed.reset('forgetful-7'));
    await closed.call('PUT', `/users/${(await closed.person('forgetful-7')).id}`, { disabled: true });
    await tab.send({ 'New password': 'another battery' }, 'Set password');
}, 403);

state('GET /_usher/test', 'without a proxy', (tab) => tab.go(`${closed.url}/_usher/test`), 403);

// ---- What no page is for
state('GET *', 'nothing there', (tab) => tab.go(`${main.url}/nothing`), 404);
state('POST /', 'not a way to ask', async (tab) => {
    await tab.go(`${main.url}/sign-in`);
    await post(tab, '/');
}, 405);
state('GET *', 'at another host', (tab) => tab.go('http://elsewhere.localhost/sign-in'), 404);

/** What the README shows. */
const images = {
    'sign-in-light.png': ['GET /sign-in, registration closed', 'light'],
    'sign-in-dark.png': ['GET /sign-in, registration closed', 'dark'],
    'set-up.png': ['GET /setup, empty', 'light'],
    'apps-light.png': ['GET /, with several apps', 'light'],
    'apps-dark.png': ['GET /, with several apps', 'dark'],
    'sessions.png': ['GET /account/sessions, this one and a program', 'light'],
    'overview.png': ['GET /admin, busy', 'light'],
};

/** Takes the pictures of the README that show a page. */
async function takeImages(tab, state) {
    for (const [file, [shown, colorScheme]] of given.images ? Object.entries(images) : []) {
        if (shown !== state) continue;
        await tab.page.setViewportSize({ width: 800, height: 480 });
        await tab.page.emulateMedia({ colorScheme });
        await tab.page.screenshot({ path: `${given.images}/${file}`, fullPage: true });
    }
}

await prepare();
const apps = [await serve('Notes', given.upstreams[0]), await serve('Wiki', given.upstreams[1])];
const faults = [];
const failing = failures(troubled);
// Files that every page asks for, and that no person opens.
const listed = ['GET /assets/*', ...[...states, ...beforeTheWiki, ...failing].map(({ route }) => route)];
for (const route of given.routes) {
    if (!listed.some((known) => known !== 'GET *' && isFor(known, route))) faults.push(`${route} has no state in this list`);
}
await main.call('POST', '/groups', { name: 'family' });
await main.call('POST', '/apps', { name: 'Notes', url: notes, access: 'everyone' });
for (const [name, url] of [['Recipes', 'https://recipes.example.org'], ['Music', 'https://music.example.net']]) {
    await main.call('POST', '/apps', { name, url, access: 'everyone' });
}
await main.call('PUT', '/users/1', { display_name: 'Ada Lovelace' });
const ofFailures = lookAt(failing, { atOnce: 1 }); // most of which wait
faults.push(...await lookAt(beforeTheWiki));
const photographs = await main.call('POST', '/apps', { name: LONG_APP, url: wiki, access: 'admins' });
faults.push(...await lookAt(states, { more: takeImages }), ...await ofFailures);
await browser.close();
for (const app of apps) app.close();
for (const fault of faults) console.error(fault);
process.exitCode = faults.length ? 1 : 0;
