// Calls about assets that nobody makes: they wait until their client gives up, or has the work stopped.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, text, waysWith } from './mcpways.js';

for (const [way, transport] of Object.entries(waysWith({ MAX_CONCURRENT_GENERATIONS: '0' }))) {
  test(way, async (t) => {
    const client = await connect(transport());
    t.after(() => client.close());
    const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
    const wish = (more) => ({ category: 'prop', style: 'fantasy', description: `A lantern, ${way}`, ...more });
    const status = async (id) => (await call('get_asset', { asset_id: id })).structuredContent.status;

    // begun makes a call, gives it up with the first progress, and returns which asset that was about.
    async function begun(name, args) {
      const giveUp = new AbortController();
      let id;
      const onprogress = (p) => {
        id = p._meta['gaia/assetId'];
        giveUp.abort('enough');
      };
      await assert.rejects(call(name, args, { signal: giveUp.signal, onprogress }), /enough/);
      return id;
    }

    await t.test('work whose call is given up ends', async () => {
      const id = await begun('generate_asset', wish());
      const deadline = Date.now() + 20_000;
      while ((await status(id)) !== 'cancelled') {
        assert.ok(Date.now() < deadline, await status(id));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });

    await t.test('work with a key goes on until it is cancelled', async () => {
      const id = await begun('generate_asset', wish({ idempotency_key: way }));
      assert.equal(await begun('wait_for_asset', { asset_id: id }), id);
      const again = await call('generate_asset', wish({ idempotency_key: way, timeout_seconds: 0 }));
      assert.equal(again.structuredContent.asset_id, id);
      assert.equal(again.structuredContent.status, 'pending');
      const stopped = await call('cancel_asset', { asset_id: id });
      assert.equal(stopped.structuredContent.status, 'cancelled');
      const late = await call('cancel_asset', { asset_id: id });
      assert.equal(text(late), 'The making of this asset has ended');
    });
  });
}
