// The pages on the hosts of apps, through the proxy at hand.

import { serve } from './app.mjs';
import { onAppHosts } from './hosts.mjs';
import { Site, browser, given } from './kit.mjs';
import { lookAt, prepare } from './looks.mjs';

const main = new Site(given.sites.main);
const [notes, wiki] = given.apps.map((host) => `https://${host}`);
const apps = [await serve('Notes', given.upstreams[0]), await serve('Wiki', given.upstreams[1])];
const { states, beforeTheWiki } = onAppHosts(main);

await prepare();
await main.call('POST', '/apps', { name: 'Notes', url: notes, access: 'everyone' });
const faults = await lookAt(beforeTheWiki);
await main.call('POST', '/apps', { name: 'Wiki', url: wiki, access: 'admins' });
faults.push(...await lookAt(states));
await browser.close();
for (const app of apps) app.close();
for (const fault of faults) console.error(fault);
process.exitCode = faults.length ? 1 : 0;
