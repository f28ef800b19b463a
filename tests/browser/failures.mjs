// The states in which the service itself can't do what it was asked for.

import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { given } from './kit.mjs';

/** The states of a site of their own, one after the other: the last of them ruins its database. */
export function failures(site) {
    const states = [];
    const state = (route, name, open, status) => states.push({ route, name, open, status });

    /** A tab of somebody who is signed in. */
    async function signedIn(tab, username) {
        await site.person(username);
        await tab.signIn(site, username);
    }
    /** Does something while another process is changing the database. */
    async function whileLocked(act) {
        const database = new DatabaseSync(site.database);
        database.exec('BEGIN IMMEDIATE');
        try {
            await act();
        } finally {
            database.exec('ROLLBACK');
            database.close();
        }
    }
    /** Changes the database behind the back of the service. */
    function meddle(sql) {
        const database = new DatabaseSync(site.database);
        database.exec(sql);
        database.close();
    }

    state('POST /register', 'the form arrives too slowly', async (tab) => {
        await tab.go(`${site.url}/register`);
        const network = await tab.context.newCDPSession(tab.page);
        await network.send('Network.emulateNetworkConditions', {
            offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_500,
        });
        // 40 seconds' worth, of which 30 are waited for. The browser sends it a second time.
        tab.page.setDefaultTimeout(180_000);
        await tab.send({ Username: 'a'.repeat(60_000) }, 'Create account');
        await network.detach();
    }, 408);

    state('POST /admin/users/import', 'another file is being imported', async (tab) => {
        await tab.signIn(site, 'root');
        await tab.go(`${site.url}/admin/users/import`);
        const { token } = await site.send('POST', '/auth/login', { email: 'root@example.com', password: given.password });
        const { hostname, port, pathname } = new URL(`${site.api}/users/import`);
        const other = connect(Number(port), hostname);
        const head = [
            `POST ${pathname} HTTP/1.1`, `Host: ${hostname}`, `Authorization: Bearer ${token}`, 'Content-Type: application/jsonl',
            'Content-Length: 1000', 'Expect: 100-continue',
        ];
        const isReading = new Promise((resolve) => other.once('data', resolve));
        other.write(`${head.join('\r\n')}\r\n\r\n`);
        await isReading;
        const file = { name: 'accounts.jsonl', mimeType: 'application/jsonl', buffer: Buffer.from('{}\n') };
        await tab.page.getByLabel('File', { exact: true }).setInputFiles(file);
        await tab.press('Import');
        other.destroy();
    }, 503);

    state('POST /sign-in', 'another process is changing the database', async (tab) => {
        await site.person('ada');
        await whileLocked(() => tab.signIn(site, 'ada'));
    }, 503);
    state('POST /sign-out', 'another process is changing the database', async (tab) => {
        await signedIn(tab, 'ada');
        await tab.go(`${site.url}/sign-out`);
        await whileLocked(() => tab.press('Sign out'));
    }, 503);

    state('GET /', 'one’s own account is damaged', async (tab) => {
        await signedIn(tab, 'eve');
        meddle('PRAGMA ignore_check_constraints = 1; UPDATE users SET username = \'not a username\' WHERE username = \'eve\'');
        await tab.go(`${site.url}/`);
    }, 500);

    state('GET /account', 'the database is destroyed', async (tab) => {
        await signedIn(tab, 'ada');
        meddle('UPDATE users SET revision = revision; PRAGMA wal_checkpoint(TRUNCATE)');
        const file = openSync(site.database, 'r+');
        const firstPage = 4_096; // it has the header
        writeSync(file, Buffer.alloc(fstatSync(file).size - firstPage, 0x5a), 0, undefined, firstPage);
        closeSync(file);
        await tab.go(`${site.url}/account`);
    }, 503);
    return states;
}
