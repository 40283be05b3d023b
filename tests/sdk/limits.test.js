import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { apiKey, baseURL, play } from './gaia.js';

const messages = [{ role: 'user', content: 'Hello' }];

// exceed asks until Gaia has had enough.
async function exceed(client, params) {
  for (let i = 0; i < 50; i++) {
    try {
      await client.chat.completions.create(params);
    } catch (e) {
      return e;
    }
  }
  return assert.fail('nothing is limited');
}

test('over the limit', async (t) => {
  const model = await play({ Tokens: 2 });
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  for (const stream of [false, true]) {
    await t.test(`stream: ${stream}`, async () => {
      const e = await exceed(client, { model: model.id, messages, stream });
      assert.ok(e instanceof OpenAI.RateLimitError, `${e.constructor.name}: ${e.message}`);
      assert.equal(e.status, 429);
      assert.equal(e.code, 'rate_limit_exceeded');
      assert.equal(e.type, 'rate_limit_error');
      assert.equal(e.error.message, 'Rate limit exceeded: 2 per 1 second');
      assert.equal(e.headers.get('retry-after'), '1');
      assert.equal(e.headers.get('x-ratelimit-limit'), '2');
      assert.equal(e.headers.get('x-ratelimit-remaining'), '0');
      assert.ok(Number(e.headers.get('x-ratelimit-reset')) >= Math.floor(Date.now() / 1000));
    });
  }
});

test('the package comes back when it is told to', async () => {
  const model = await play({ Tokens: 2 });
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 5 });
  for (let i = 0; i < 4; i++) {
    const answer = await client.chat.completions.create({ model: model.id, messages });
    assert.equal(answer.choices[0].finish_reason, 'stop');
  }
});
