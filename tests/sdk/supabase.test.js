import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createClient } from '@supabase/supabase-js';
import { assertChats, assertRefused, gaia } from './credentials.js';
import { apiKey } from './gaia.js';

const { SUPABASE_URL, SUPABASE_ANON_KEY, SUPABASE_ALG } = process.env;
const password = 'Corr3ct-horse-battery';

// Node 20 has no WebSocket, and the client does not begin without one, though nothing here connects.
class NoWebSocket {}

// A client of its own for each session, as each browser has one.
const connect = () =>
  createClient(SUPABASE_URL, SUPABASE_ANON_KEY, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport: NoWebSocket },
  });

const address = () => `player-${randomUUID()}@example.com`;

async function signedUp(supabase, email = address()) {
  const { data, error } = await supabase.auth.signUp({ email, password });
  assert.equal(error, null);
  assert.ok(data.session, 'no session');
  return data.session;
}

test('a token of a sign-up works with fetch and with an OpenAI client', async () => {
  const { access_token: token, user } = await signedUp(connect());
  const header = JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
  assert.equal(header.alg, SUPABASE_ALG);
  const shown = await gaia('/auth/user', { token });
  assert.equal(shown.status, 200);
  assert.equal(shown.body.user.id, user.id);
  assert.equal(shown.body.user.email, user.email);
  const checked = await gaia('/auth/validate', { body: { token } });
  assert.deepEqual(checked.body, { valid: true, auth_type: 'jwt', user_id: user.id, error: null });
  await assertChats(token);
});

test('a token of a sign-in, and the one after a renewal, work too', async () => {
  const email = address();
  await signedUp(connect(), email);
  const supabase = connect();
  const { data, error } = await supabase.auth.signInWithPassword({ email, password });
  assert.equal(error, null);
  await assertChats(data.session.access_token);
  const renewed = await supabase.auth.refreshSession();
  assert.equal(renewed.error, null);
  assert.notEqual(renewed.data.session.refresh_token, data.session.refresh_token);
  await assertChats(renewed.data.session.access_token);
});

test('claims are verified by the client as by Gaia', async () => {
  const supabase = connect();
  const { access_token: token, user } = await signedUp(supabase);
  const { data, error } = await supabase.auth.getClaims(token);
  assert.equal(error, null);
  assert.equal(data.claims.sub, user.id);
  const [head, payload, signature] = token.split('.');
  const forged = [head, Buffer.from(Buffer.from(payload, 'base64url').toString().replace(user.id, randomUUID())).toString('base64url'), signature];
  const refused = await supabase.auth.getClaims(forged.join('.'));
  assert.ok(refused.error);
  await assertRefused(forged.join('.'));
});

test('a session that the client ends is over for Gaia', async () => {
  const email = address();
  const one = connect();
  const { access_token: token } = await signedUp(one, email);
  const other = connect();
  const { data } = await other.auth.signInWithPassword({ email, password });
  assert.equal((await one.auth.signOut({ scope: 'local' })).error, null);
  assert.equal((await gaia('/auth/user', { token })).status, 401);
  assert.equal((await gaia('/auth/user', { token: data.session.access_token })).status, 200);
});

test('a session that Gaia opened is one of the client, and over when Gaia ends it', async () => {
  const email = address();
  const registered = await gaia('/auth/register', { body: { email, password } });
  assert.equal(registered.status, 200);
  const { status, body } = await gaia('/auth/login', { body: { email, password } });
  assert.equal(status, 200);
  const supabase = connect();
  const { data, error } = await supabase.auth.setSession(body.session);
  assert.equal(error, null);
  assert.equal(data.user.id, body.user.id);
  const renewed = await supabase.auth.refreshSession();
  assert.equal(renewed.error, null);
  const token = renewed.data.session.access_token;
  await assertChats(token);
  assert.equal((await gaia('/auth/logout', { token, method: 'POST' })).status, 200);
  const { error: over } = await supabase.auth.getUser();
  assert.ok(over, 'the session goes on');
  await assertRefused(token);
});

test('a session that the client opened can be renewed by Gaia', async () => {
  const { refresh_token, user } = await signedUp(connect());
  const { status, body } = await gaia('/auth/refresh', { body: { refresh_token } });
  assert.equal(status, 200);
  assert.equal(body.user.id, user.id);
  await assertChats(body.session.access_token);
});

test('what is wrong reads alike on both ways', async () => {
  const email = address();
  await signedUp(connect(), email);
  for (const credentials of [{ email, password: 'wrong-password' }, { email: address(), password }]) {
    const { error } = await connect().auth.signInWithPassword(credentials);
    assert.equal(error.status, 400);
    assert.equal(error.code, 'invalid_credentials');
    const { status, body } = await gaia('/auth/login', { body: credentials });
    assert.equal(status, 400);
    assert.equal(body.detail, 'The e-mail address or the password is wrong');
  }
});

test('the global key works beside tokens', async () => {
  await assertChats(apiKey);
  const { access_token: token, user } = await signedUp(connect());
  const both = await gaia('/auth/user', { token, key: apiKey });
  assert.equal(both.body.user.id, user.id, 'the token comes first');
  assert.equal((await gaia('/auth/user', { key: apiKey })).status, 401);
});

test('a key of a user works, and no longer than the user wants', async () => {
  const { access_token: token, user } = await signedUp(connect());
  const { status, body } = await gaia('/auth/api-keys', { token, body: { name: 'Build server' } });
  assert.equal(status, 200);
  await assertChats(body.api_key);
  const checked = await gaia('/auth/validate', { body: { api_key: body.api_key } });
  assert.deepEqual(checked.body, { valid: true, auth_type: 'user_api_key', user_id: user.id, error: null });
  assert.equal((await gaia(`/auth/api-keys/${body.key.id}`, { token, method: 'DELETE' })).status, 200);
  await assertRefused(body.api_key);
});
