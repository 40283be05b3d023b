import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { assertChats, assertRefused, gaia } from './credentials.js';
import { apiKey } from './gaia.js';

const password = 'Corr3ct-horse-battery';

async function registered() {
  const email = `player-${randomUUID()}@example.com`;
  const { status, body } = await gaia('/auth/register', { body: { email, password } });
  assert.equal(status, 200);
  return { email, ...body };
}

test('the global key', () => assertChats(apiKey));

test('a token of an account, from the first to the last', async () => {
  const { email, session } = await registered();
  await assertChats(session.access_token);
  const renewed = await gaia('/auth/refresh', { body: { refresh_token: session.refresh_token } });
  assert.equal(renewed.status, 200);
  await assertChats(renewed.body.session.access_token);
  const other = await gaia('/auth/login', { body: { email, password } });
  assert.equal(other.status, 200);
  assert.equal((await gaia('/auth/logout', { token: session.access_token, method: 'POST' })).status, 200);
  await assertRefused(session.access_token);
  await assertRefused(renewed.body.session.access_token);
  await assertChats(other.body.session.access_token);
});

test('a key of a user, before and after it is replaced and revoked', async () => {
  const { session } = await registered();
  const token = session.access_token;
  const first = (await gaia('/auth/api-keys', { token, body: { name: 'Build server' } })).body;
  await assertChats(first.api_key);
  const next = await gaia(`/auth/api-keys/${first.key.id}/rotate`, { token, body: { grace_period_seconds: 3600 } });
  assert.equal(next.status, 200);
  await assertChats(first.api_key);
  await assertChats(next.body.api_key);
  const { api_keys: keys } = (await gaia('/auth/api-keys', { token })).body;
  for (const { id } of keys) assert.equal((await gaia(`/auth/api-keys/${id}`, { token, method: 'DELETE' })).status, 200);
  await assertRefused(first.api_key);
  await assertRefused(next.body.api_key);
});

test('a key with scopes does what they say', async () => {
  const { session } = await registered();
  const { api_key: key } = (await gaia('/auth/api-keys', { token: session.access_token, body: { name: 'Reader', scopes: ['models:read'] } })).body;
  assert.equal((await gaia('/models', { token: key })).status, 200);
  assert.equal((await gaia('/chat/completions', { token: key, body: { messages: [{ role: 'user', content: 'Hello' }] } })).status, 403);
});
