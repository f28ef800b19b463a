// An app behind the proxy: it says who came, and where to. It has a WebSocket, too.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const page = (name, who, path) => `<!doctype html><html lang="en"><title>${name}</title><link rel="icon" href="data:,">
<h1>${name}</h1><p>You are <b id="who">${who}</b> at <b id="path">${path}</b>.</p>
<form method="post"><button>Save</button></form></html>`;

/** Starts an app at an address. `reached` has what it was asked. */
export async function serve(name, address) {
    const reached = [];
    const server = createServer((request, response) => {
        reached.push(`${request.method} ${request.url}`);
        response.setHeader('content-type', 'text/html');
        response.end(page(name, request.headers['remote-user'], request.url.replaceAll('&', '&amp;')));
    });
    server.on('upgrade', (request, socket) => {
        reached.push(`WEBSOCKET ${request.url}`);
        const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`; // RFC 6455, section 4.2.2
        const accept = createHash('sha1').update(key).digest('base64');
        const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`];
        socket.on('error', () => {});
        socket.write(`${head.join('\r\n')}\r\n\r\n`);
    });
    const [host, port] = address.split(':');
    await new Promise((resolve) => server.listen(Number(port), host, resolve));
    return { reached, close: () => { server.close(); server.closeAllConnections(); } };
}
