// Looks at pages in one state after another.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { Tab, each, faultsInLooks, faultsOf, given } from './kit.mjs';

/** Whether a request is for a route, in which a parameter stands for a part of the path. */
export function isFor(route, asked) {
    if (route.endsWith('*')) return asked.startsWith(route.slice(0, -1));
    const [parts, given] = [route.split('/'), asked.split('/')];
    return parts.length === given.length && parts.every((part, at) => part === given[at] || part.startsWith('{'));
}

async function look({ route, name, open, status }, more) {
    const tab = await Tab.open();
    const slug = `${route} ${name}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
    const faults = [];
    try {
        await open(tab);
        const { origin } = new URL(tab.page.url());
        const sites = Object.values(given.sites).map((site) => site.url);
        const apps = given.apps.map((host) => `https://${host}`);
        if (tab.answer.status() !== status) faults.push(`its status is ${tab.answer.status()}, and not ${status}`);
        if (!tab.asked.some((asked) => isFor(route, asked))) faults.push(`it was shown by ${tab.asked.join(', ')}`);
        faults.push(...await faultsOf(tab, [origin, ...sites, ...apps]));
        faults.push(...await faultsInLooks(tab, (look, picture) => writeFile(`${given.shots}/${slug}-${look}.png`, picture)));
        await more?.(tab, `${route}, ${name}`);
    } catch (error) {
        faults.push(`it can't be looked at: ${error.message}`);
    }
    await tab.close();
    return faults.map((fault) => `${route}, ${name}: ${fault}`);
}

/** Makes room for the pictures. */
export async function prepare() {
    await rm(given.shots, { recursive: true, force: true });
    await mkdir(given.shots, { recursive: true });
}

/** Looks at a list of states, a few at a time, and returns what is wrong. Calls `more` with each that was looked at. */
export async function lookAt(list, { more, atOnce } = {}) {
    const faults = [];
    // For somebody who works on a page: those whose name has one of these parts.
    const parts = given.only?.split('|') ?? [''];
    const wanted = list.filter(({ route, name }) => parts.some((part) => `${route}, ${name}`.includes(part)));
    await each(wanted, async (state) => faults.push(...await look(state, more)), atOnce);
    return faults;
}
