// What lets somebody in, and what it is good for.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { baseURL, play, word } from './gaia.js';

// gaia asks Gaia without any client.
export async function gaia(path, { token, key, body, method = body ? 'POST' : 'GET' } = {}) {
  const headers = { 'Content-Type': 'application/json' };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (key) headers['X-API-Key'] = key;
  const response = await fetch(baseURL + path, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}

const clientWith = (credential) => new OpenAI({ baseURL, apiKey: credential, maxRetries: 0 });

// Whoever has this credential gets whole and streamed answers, and the list of models, from an OpenAI client.
export async function assertChats(credential) {
  const openai = clientWith(credential);
  const model = await play({ Tokens: 5 });
  const messages = [{ role: 'user', content: 'Hello' }];
  const answer = await openai.chat.completions.create({ model: model.id, messages });
  assert.equal(answer.choices[0].message.content, word.repeat(5));
  let text = '';
  for await (const chunk of await openai.chat.completions.create({ model: model.id, messages, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? '';
  }
  assert.equal(text, word.repeat(5));
  assert.ok((await openai.models.list()).data.length > 0);
}

// A token that is not good is 401, a key 403.
export const assertRefused = (credential) =>
  assert.rejects(clientWith(credential).models.list(), (error) =>
    credential.startsWith('gaia_') ? error instanceof OpenAI.PermissionDeniedError : error instanceof OpenAI.AuthenticationError);
