// What the scripts share: the browser, the installations that the tests have started, and what holds for every page.

import { createRequire } from 'node:module';

const require = createRequire(process.env.BROWSER_PACKAGES);
const { chromium } = require('playwright-core');
const axe = require('axe-core');

export const given = JSON.parse(process.env.GIVEN);

export const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    ignoreDefaultArgs: ['--disable-back-forward-cache'], // people's browsers have one
    chromiumSandbox: false, // it does not work for root
    args: [
        `--host-resolver-rules=${given.resolve.join(', ')}, MAP * ~NOTFOUND`,
        `--ignore-certificate-errors-spki-list=${given.key_hash}`,
        '--disable-quic',
    ],
});

/** A running server, as a program or an administrator reaches it. */
export class Site {
    constructor(given) {
        Object.assign(this, given, { made: new Map() });
    }

    /** Calls the API as `root`, and returns what it answers. */
    async call(method, path, body) {
        this.token ??= this.send('POST', '/auth/login', { email: 'root@example.com', password: given.password });
        return this.send(method, path, body, (await this.token).token);
    }

    async send(method, path, body, token) {
        const headers = { ...(body && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }) };
        const answer = await fetch(this.api + path, { method, headers, body: body && JSON.stringify(body) });
        const text = await answer.text();
        if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
        return text && JSON.parse(text);
    }

    /** An account with the tests' password. */
    person(username) {
        const create = () => this.call('POST', '/users', { username, email: `${username}@example.com`, password: given.password });
        if (!this.made.has(username)) this.made.set(username, create());
        return this.made.get(username);
    }

    async invitation(content = {}) {
        return `${this.url}/invited?token=${(await this.call('POST', '/invitations', content)).token}`;
    }

    async reset(username) {
        const { id } = await this.person(username);
        return `${this.url}/reset?token=${(await this.call('POST', `/users/${id}/password-reset`)).token}`;
    }
}

/** A tab of a browser with cookies of its own, which keeps what went on in it. */
export class Tab {
    static async open(options = {}) {
        const tab = new Tab();
        tab.context = await browser.newContext({ locale: 'en-GB', ...options });
        return tab.add(await tab.context.newPage());
    }

    /** Another tab of the same browser. */
    async another() {
        const tab = new Tab();
        tab.context = this.context;
        return tab.add(await this.context.newPage());
    }

    add(page) {
        Object.assign(this, { page, requests: [], complaints: [], answer: undefined });
        page.setDefaultTimeout(15_000);
        page.on('request', (request) => this.requests.push(request));
        page.on('response', (response) => {
            const request = response.request();
            if (request.isNavigationRequest() && request.frame() === page.mainFrame()) this.answer = response;
        });
        page.on('console', (message) => {
            // The browser notes the status of a page of ours that says that something went wrong, and that it can't keep one
            // apart from others which came without TLS.
            const isStatus = message.text().startsWith('Failed to load resource: the server responded with a status of');
            const isPage = this.requests.some((it) => it.isNavigationRequest() && it.url() === message.location().url);
            const isExpected = isStatus && isPage;
            const isWithoutTls = message.text().startsWith('The Cross-Origin-Opener-Policy header has been ignored');
            if (!isExpected && !isWithoutTls) this.complaints.push(`${message.text()} ${message.location().url}`);
        });
        page.on('pageerror', (error) => this.complaints.push(error.message));
        return this;
    }

    go(url) {
        return this.page.goto(url);
    }

    /** Types into the fields with these labels, and presses the button. */
    async send(fields, button) {
        for (const [label, text] of Object.entries(fields)) await this.page.getByLabel(label, { exact: true }).fill(text);
        // What the browser itself would find fault with is to reach the server.
        await this.page.evaluate(() => document.forms[0].setAttribute('novalidate', ''));
        await this.press(button);
    }

    async press(button) {
        await Promise.all([this.page.waitForEvent('load'), this.page.getByRole('button', { name: button, exact: true }).click()]);
    }

    async signIn(site, username, password = given.password) {
        await this.go(`${site.url}/sign-in`);
        await this.send({ 'Username or e-mail': username, Password: password }, 'Sign in');
    }

    /** The requests of this tab, as `GET /path`, of which some are redirected. */
    get asked() {
        return this.requests.map((request) => `${request.method()} ${new URL(request.url()).pathname}`);
    }

    close() {
        return this.context.close();
    }
}

/** Runs tasks, a few at a time. */
export async function each(tasks, run, atOnce = 2) {
    const left = [...tasks];
    const work = async () => {
        while (left.length) await run(left.shift());
    };
    await Promise.all(Array.from({ length: atOnce }, work));
}

/** What is wrong with a page, whatever it is for. */
export async function faultsOf(tab, origins) {
    const faults = [...tab.complaints];
    for (const request of tab.requests) {
        if (!origins.includes(new URL(request.url()).origin)) faults.push(`it loads ${request.url()}`);
    }
    const seen = await tab.page.evaluate(async () => {
        const open = [...document.querySelectorAll('input:not([type=hidden], [type=checkbox], [readonly]), select, textarea')];
        // Where several forms stand on a page, none is the one that people came for.
        const empty = document.forms.length === 1 && open.find((field) => field.value === '' && field.required);
        const first = open.find((field) => field.matches('[aria-invalid]')) ?? (empty || undefined);
        // Browsers place the cursor when they first draw the page (WHATWG HTML, "flush autofocus candidates").
        for (let tries = 0; tries < 100 && document.activeElement.id !== (first?.id ?? ''); tries++) {
            await new Promise((go) => setTimeout(go, 50));
        }
        return {
            title: document.title,
            headings: [...document.querySelectorAll('h1')].map((heading) => heading.innerText),
            language: document.documentElement.lang,
            focus: document.activeElement.id,
            focusWanted: first?.id ?? '',
            scripts: document.scripts.length,
        };
    });
    if (!/^\S.* · \S/.test(seen.title)) faults.push(`its title is ${JSON.stringify(seen.title)}`);
    if (seen.headings.length !== 1 || !seen.headings[0]) faults.push(`its headings are ${JSON.stringify(seen.headings)}`);
    if (seen.language !== 'en') faults.push(`its language is ${JSON.stringify(seen.language)}`);
    if (seen.scripts) faults.push('it has scripts');
    if (seen.focus !== seen.focusWanted) faults.push(`the cursor stands at "${seen.focus}", and not at "${seen.focusWanted}"`);
    return faults;
}

const SIZES = { phone: { width: 320, height: 640 }, desk: { width: 1280, height: 800 } };
/** The sizes and themes in which pages are looked at. */
const LOOKS = given.looks ?? Object.keys(SIZES).flatMap((size) => ['light', 'dark'].map((theme) => [size, theme]));

/** What is wrong with how a page looks, in each size and theme. Calls `keep` with a picture of each. */
export async function faultsInLooks(tab, keep) {
    const faults = [];
    await tab.page.evaluate(axe.source);
    for (const [size, colorScheme] of LOOKS) {
        await tab.page.setViewportSize(SIZES[size]);
        await tab.page.emulateMedia({ colorScheme });
        const found = await tab.page.evaluate(async () => {
            const { violations } = await window.axe.run(document, {
                resultTypes: ['violations'],
                rules: { 'target-size': { enabled: true } },
            });
            const wide = document.documentElement.scrollWidth - window.innerWidth;
            return {
                violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`),
                wide,
            };
        });
        const where = `${colorScheme}, ${size}`;
        faults.push(...found.violations.map((violation) => `${violation} (${where})`));
        if (found.wide > 0) faults.push(`it is ${found.wide} pixels wider than the window (${where})`);
        await keep(`${colorScheme}-${size}`, await tab.page.screenshot({ fullPage: true }));
    }
    return faults;
}
