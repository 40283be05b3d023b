// Assets for the official client of the Model Context Protocol: made by the built-in generator, shown, found and read.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';
import validator from 'gltf-validator';
import { apiKey, baseURL } from './gaia.js';
import { connect, endpoint, onStdio, overHTTP, text, waysWith } from './mcpways.js';

// A process of its own has the budget of the server, and a generator of pictures that takes money but is never asked.
const ofItsOwn = { BUDGET_DAILY_USD: '0.001', OPENAI_API_KEY: 'nobody', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' };
const ways = waysWith(ofItsOwn);
if (process.env.GAIA_TEST_TOPOLOGY !== 'split') { // services apart keep nothing in that folder
  ways['on stdio, with links to a server on the same data'] = () =>
    onStdio({ GAIA_DATA_DIR: process.env.GAIA_DATA, PUBLIC_URL: endpoint.origin, API_KEY: apiKey, ...ofItsOwn });
}

// pixelsOf decodes a PNG of 8 bits a channel, without interlacing, as far as it takes to know that all of it is there.
function pixelsOf(png) {
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  const parts = [];
  let width, height, channels;
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const [kind, data] = [png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + png.readUInt32BE(at))];
    if (kind === 'IHDR') {
      [width, height, channels] = [data.readUInt32BE(0), data.readUInt32BE(4), { 0: 1, 2: 3, 4: 2, 6: 4 }[data[9]]];
      assert.equal(data[8], 8);
    }
    if (kind === 'IDAT') parts.push(data);
  }
  assert.equal(inflateSync(Buffer.concat(parts)).length, height * (1 + width * channels));
  return width * height;
}

const fetched = async (url) =>
  url.startsWith('file:') ? readFile(fileURLToPath(url)) : Buffer.from(await (await fetch(url)).arrayBuffer());

for (const [way, transport] of Object.entries(ways)) {
  test(way, async (t) => {
    const client = await connect(transport());
    t.after(() => client.close());
    const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
    const wish = { category: 'prop', style: 'low_poly', description: `A treasure chest, ${way}`, polygon_count_max: 700 };
    let made;

    await t.test('lists the tools with hints and schemas', async () => {
      const { tools } = await client.listTools();
      const hints = Object.fromEntries(tools.map((tool) => [tool.name, tool.annotations]));
      for (const name of ['search_assets', 'get_asset', 'wait_for_asset', 'estimate_asset_cost']) {
        assert.deepEqual([hints[name].readOnlyHint, hints[name].openWorldHint], [true, false], name);
      }
      const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = hints.generate_asset;
      assert.deepEqual([readOnlyHint, destructiveHint, idempotentHint, openWorldHint], [false, false, false, true]);
      assert.equal(hints.cancel_asset.destructiveHint, true);
      assert.ok(tools.find((tool) => tool.name === 'generate_asset').outputSchema.properties.download_url);
    });

    await t.test('estimates and makes one, with progress', async () => {
      const estimate = await call('estimate_asset_cost', wish);
      assert.deepEqual(estimate.structuredContent.generators, [{ generator: 'procedural', cost_usd: 0 }]);
      const heard = [];
      made = await call('generate_asset', wish, { onprogress: (p) => heard.push(p.progress) });
      assert.equal(made.isError, undefined, text(made));
      assert.equal(made.structuredContent.status, 'completed');
      assert.deepEqual(JSON.parse(text(made)), made.structuredContent);
      assert.equal(heard.at(-1), 100);
      assert.deepEqual(heard, [...new Set(heard)].sort((a, b) => a - b));
      pixelsOf(Buffer.from(made.content.find((c) => c.type === 'image').data, 'base64'));
    });

    await t.test('reads it', async () => {
      const { asset_id: id, uri, download_url: url, preview_url: preview } = made.structuredContent;
      const link = made.content.find((c) => c.type === 'resource_link');
      assert.equal(link.uri, `gaia://assets/${id}/file`);
      const { contents } = await client.readResource({ uri: link.uri });
      const file = Buffer.from(contents[0].blob, 'base64');
      assert.equal(contents[0].mimeType, 'model/gltf-binary');
      assert.equal(file.length, link.size);
      const report = await validator.validateBytes(new Uint8Array(file));
      assert.equal(report.issues.numErrors, 0);
      assert.ok(report.info.totalTriangleCount <= 700);
      assert.ok(file.equals(await fetched(url)), url);
      assert.ok(url.startsWith(/HTTP|server$|links/.test(way) ? `${endpoint.origin}/api/v1/assets/${id}/download?` : 'file:///'), url);
      const shown = await client.readResource({ uri: `${uri}/preview` });
      assert.ok(pixelsOf(Buffer.from(shown.contents[0].blob, 'base64')) > 1000);
      pixelsOf(await fetched(preview));
      const about = await client.readResource({ uri });
      assert.equal(JSON.parse(about.contents[0].text).title, made.structuredContent.title);
      const { resourceTemplates } = await client.listResourceTemplates();
      assert.ok(resourceTemplates.some((r) => r.uriTemplate === 'gaia://assets/{id}/file'));
      const ref = { type: 'ref/resource', uri: 'gaia://assets/{id}' };
      const { completion } = await client.complete({ ref, argument: { name: 'id', value: 'A treasure' } });
      assert.ok(completion.values.includes(id));
    });

    await t.test('finds it, and is given it again', async () => {
      const found = await call('search_assets', { query: `treasure chest ${way}`, category: 'prop' });
      assert.equal(found.structuredContent.assets[0].asset_id, made.structuredContent.asset_id);
      const again = await call('generate_asset', wish);
      assert.equal(again.structuredContent.asset_id, made.structuredContent.asset_id);
      assert.equal(again.structuredContent.source, 'database');
    });

    await t.test('is refused what costs more than there is', async () => {
      const dear = await call('generate_asset', { category: 'image', style: 'painted', description: 'A castle' });
      assert.equal(dear.isError, true);
      assert.match(text(dear), /budget/);
      const free = await call('generate_asset', { category: 'image', style: 'painted', description: 'A castle', max_cost: 0 });
      assert.match(text(free), /the request allows \$0\.00/);
      const invalid = await call('generate_asset', { category: 'food', style: 'x', description: 'x' });
      assert.equal(invalid.isError, true);
    });

    await t.test('has a prompt that asks for one', async () => {
      const { prompts } = await client.listPrompts();
      assert.ok(prompts.some((p) => p.name === 'request_asset' && p.arguments[0].required));
      const prompt = await client.getPrompt({ name: 'request_asset', arguments: { need: 'a lamp', quality: 'high' } });
      assert.match(prompt.messages[0].content.text, /a lamp[^]*quality is to be high[^]*generate_asset/);
      const ref = { type: 'ref/prompt', name: 'request_asset' };
      const { completion } = await client.complete({ ref, argument: { name: 'category', value: 'te' } });
      assert.deepEqual(completion.values, ['texture']);
    });
  });
}

test('somebody else finds nothing of it', async (t) => {
  const keys = await Promise.all([1, 2].map(async (n) => {
    const made = await fetch(`${baseURL}/auth/api-keys`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', 'X-API-Key': apiKey }, body: JSON.stringify({ name: `Key ${n}` }),
    });
    return (await made.json()).api_key;
  }));
  const [mine, theirs] = await Promise.all(keys.map((key) => connect(overHTTP({ 'X-API-Key': key }))));
  t.after(() => Promise.all([mine.close(), theirs.close()]));
  const made = await mine.callTool({ name: 'generate_asset', arguments: { category: 'audio', style: 'sci-fi', description: 'A secret laser, 1 second' } });
  const { asset_id: id, uri } = made.structuredContent;
  for (const name of ['get_asset', 'wait_for_asset', 'cancel_asset']) {
    const refused = await theirs.callTool({ name, arguments: { asset_id: id } });
    assert.equal(refused.isError, true);
    assert.equal(text(refused), 'Asset not found');
  }
  for (const address of [uri, `${uri}/file`, `${uri}/preview`]) {
    await assert.rejects(theirs.readResource({ uri: address }), { code: -32602 });
  }
  const found = await theirs.callTool({ name: 'search_assets', arguments: { query: 'secret laser' } });
  assert.equal(found.structuredContent.total, 0);
});
