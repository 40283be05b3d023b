import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { apiKey, baseURL } from './gaia.js';

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });

test('models', async () => {
  const models = [];
  for await (const model of client.models.list()) models.push(model);
  assert.ok(models.length > 0);
  assert.ok(models.every((m) => m.id && m.object === 'model' && Number.isInteger(m.created) && m.owned_by));
  const [first] = models;
  assert.deepEqual(await client.models.retrieve(first.id), first);
  await assert.rejects(client.models.retrieve('nope-1'), OpenAI.NotFoundError);
});
