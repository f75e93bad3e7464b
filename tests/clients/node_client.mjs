// node node_client.mjs CASE IP PORT: one of the cases below against a server that answers with "METHOD TARGET BODY".
// Prints "fine", or fails.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import undici from '/usr/share/nodejs/undici/index.js';

const [name, host, port] = process.argv.slice(2);

function request(options, write = (message) => message.end()) {
  const message = http.request({ host, port, ...options });
  write(message);
  return message;
}

async function answer(message) {
  const [response] = await once(message, 'response');
  return { status: response.statusCode, body: await text(response) };
}

const cases = {
  // Four connections carry two hundred requests.
  async agent() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    const messages = Array.from({ length: 200 }, (_, i) =>
      request({ agent, path: i % 2 ? `/${i}` : `/chunked/${i}` }));
    const sockets = new Set();
    for (const message of messages) message.on('socket', (socket) => sockets.add(socket));
    const answers = await Promise.all(messages.map(answer));
    answers.forEach(({ status, body }, i) => {
      assert.equal(status, 200);
      assert.equal(body, `GET ${i % 2 ? '' : '/chunked'}/${i} `);
    });
    assert.equal(sockets.size, 4);
    agent.destroy();
  },

  // Without a length known before, in many chunks.
  async upload() {
    const piece = 'x'.repeat(10_000);
    const message = request({ method: 'POST', path: '/up' }, async (m) => {
      for (let i = 0; i < 100; ++i) if (!m.write(piece)) await once(m, 'drain');
      m.end();
    });
    const { status, body } = await answer(message);
    assert.equal(status, 200);
    assert.ok(body === 'POST /up ' + piece.repeat(100));
  },

  // The body is sent once the backend asks for it.
  async expect() {
    const message = request(
      { method: 'PUT', path: '/e', headers: { Expect: '100-continue', 'Content-Length': 4 } },
      (m) => m.flushHeaders());
    await once(message, 'continue');
    message.end('body');
    assert.deepEqual(await answer(message), { status: 200, body: 'PUT /e body' });
  },

  async hints() {
    const message = request({ path: '/early' });
    const hints = once(message, 'information');
    const { body } = await answer(message);
    const [{ statusCode, headers }] = await hints;
    assert.equal(statusCode, 103);
    assert.equal(headers.link, '</style.css>');
    assert.equal(body, 'GET /early ');
  },

  async trailers() {
    const [response] = await once(request({ path: '/trailers' }), 'response');
    assert.equal(await text(response), 'GET /trailers ');
    assert.deepEqual(response.trailers, { 'x-sum': '7' });
  },

  // Fifty requests at once on one connection; the answers in their order.
  async pipelining() {
    const paths = Array.from({ length: 50 }, (_, i) => `/p${i}`);
    const socket = net.connect(port, host);
    socket.write(paths.map((path, i) => `GET ${path} HTTP/1.1\r\nHost: test.example\r\n` +
      (i === 49 ? 'Connection: close\r\n' : '') + '\r\n').join(''));
    const bodies = (await text(socket)).match(/^GET \/p\d+ /gm).map((line) => line.trim());
    assert.deepEqual(bodies, paths.map((path) => `GET ${path}`));
  },

  async fetch() {
    const base = `http://${host}:${port}`;
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => fetch(`${base}/chunked/${i}`)));
    const bodies = await Promise.all(answers.map((response) => response.text()));
    bodies.forEach((body, i) => assert.equal(body, `GET /chunked/${i} `));

    const stream = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 100; ++i) controller.enqueue(new TextEncoder().encode('piece '));
        controller.close();
      },
    });
    const posted = await fetch(`${base}/s`, { method: 'POST', body: stream, duplex: 'half' });
    assert.equal(await posted.text(), 'POST /s ' + 'piece '.repeat(100));

    const head = await fetch(`${base}/h`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.headers.get('content-length'), String('HEAD /h '.length));
    assert.equal(await head.text(), '');
  },

  // Up to ten requests on their way on each of two connections.
  async undici_pipelining() {
    const pool = new undici.Pool(`http://${host}:${port}`, { connections: 2, pipelining: 10 });
    const bodies = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      const { statusCode, body } = await pool.request({ method: 'GET', path: i % 3 ? `/${i}` : `/chunked/${i}` });
      assert.equal(statusCode, 200);
      return body.text();
    }));
    bodies.forEach((body, i) => assert.equal(body, `GET ${i % 3 ? '' : '/chunked'}/${i} `));
    await pool.close();
  },

  // A body of unknown length, and what comes before and behind an answer.
  async undici_streams() {
    const client = new undici.Client(`http://${host}:${port}`);
    async function* pieces() {
      for (let i = 0; i < 100; ++i) yield 'piece '.repeat(500);
    }
    const posted = await client.request({ method: 'POST', path: '/s', body: pieces() });
    assert.equal(await posted.body.text(), 'POST /s ' + 'piece '.repeat(50_000));

    const hints = [];
    const early = await client.request({ method: 'GET', path: '/early', onInfo: (info) => hints.push(info) });
    assert.equal(await early.body.text(), 'GET /early ');
    assert.deepEqual(hints.map(({ statusCode, headers }) => [statusCode, headers.link]), [[103, '</style.css>']]);

    const summed = await client.request({ method: 'GET', path: '/trailers' });
    assert.equal(await summed.body.text(), 'GET /trailers ');
    assert.deepEqual(summed.trailers, { 'x-sum': '7' });

    const head = await client.request({ method: 'HEAD', path: '/h' });
    assert.equal(head.headers['content-length'], String('HEAD /h '.length));
    assert.equal(await head.body.text(), '');
    await client.close();
  },
};

await cases[name]();
console.log('fine');
process.exit(0);
