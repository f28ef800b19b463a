// How somebody uses the pages: with a mouse, without scripts, or by keyboard alone; and how a script says what it expected.

import { Tab, given } from './kit.mjs';

/** Fails with what was expected and what was seen. */
export function is(seen, expected, what) {
    const [a, b] = [seen, expected].map((it) => JSON.stringify(it));
    if (a !== b) throw new Error(`${what}: ${a}, and not ${b}`);
}

export const heading = (tab) => tab.page.locator('h1').innerText();
export const where = (tab) => new URL(tab.page.url()).pathname;

/** How somebody uses a page: with a mouse, or by keyboard alone. */
export class Person {
    static async come(options) {
        const person = new Person();
        person.tab = await Tab.open({ javaScriptEnabled: given.mode !== 'without scripts', ...options });
        return person;
    }

    go(url) {
        return this.tab.go(url);
    }

    /** Moves to an element with the Tab key, if it is not there already. */
    async reach(element) {
        await element.waitFor();
        for (let n = 0; n < 40; n += 1) {
            if (await element.evaluate((it) => it === document.activeElement)) return;
            await this.tab.page.keyboard.press('Tab');
        }
        throw new Error(`the Tab key does not lead to ${element}`);
    }

    async type(label, text) {
        const field = this.tab.page.getByLabel(label, { exact: true });
        if (given.mode !== 'keyboard') return field.fill(text);
        await this.reach(field);
        return this.tab.page.keyboard.type(text);
    }

    async use(role, name) {
        const { page } = this.tab;
        const element = page.getByRole(role, { name, exact: true });
        if (given.mode === 'keyboard') await this.reach(element);
        const act = () => given.mode === 'keyboard' ? page.keyboard.press('Enter') : element.click();
        await Promise.all([page.waitForEvent('load'), act()]);
    }

    async signIn(username) {
        await this.type('Username or e-mail', username);
        await this.type('Password', given.password);
        await this.use('button', 'Sign in');
    }
}
