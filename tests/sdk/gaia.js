// Where Gaia is, and the levers of the provider behind it. The Go test that starts Node says so in the environment.
import assert from 'node:assert/strict';

export const baseURL = process.env.GAIA_URL;
export const apiKey = process.env.GAIA_KEY;
const levers = process.env.UPSTREAM_CONTROL;

// What the provider counts for every prompt, and says in each token, unless a script says otherwise.
export const promptTokens = 11;
export const word = 'word ';

let models = 0;

// play scripts a model of its own for a test: one script for each request, the last one stays.
export async function play(...scripts) {
  const name = `scripted-${++models}`;
  const response = await fetch(`${levers}/plays/${name}`, { method: 'POST', body: JSON.stringify(scripts) });
  assert.equal(response.status, 200, await response.text());
  return { name, id: `openai/${name}` };
}

async function read(what, model) {
  const response = await fetch(`${levers}/${what}/${model.name}`, { signal: AbortSignal.timeout(30_000) });
  assert.equal(response.status, 200);
  return response.json();
}

// books are the provider's entries of all requests for a model.
export const books = (model) => read('books', model);

// ended waits until the newest request for a model has ended at the provider, and returns its entry.
export const ended = async (model) => (await read('ended', model)).at(-1);

// A red dot.
export const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

export const weatherCall = {
  Calls: [{ ID: 'call_weather', Name: 'get_weather', Arguments: ['{"ci', 'ty":"Li', 'sbon"}'] }],
};
