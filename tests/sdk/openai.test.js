import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { apiKey, baseURL, books, ended, pixel, play, promptTokens, weatherCall, word } from './gaia.js';

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const ask = (content = 'Hello') => [{ role: 'user', content }];

const weatherTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Tells the weather.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

test('create', async () => {
  const model = await play({ Tokens: 7 });
  const answer = await client.chat.completions.create({ model: model.id, messages: ask() });
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].message.role, 'assistant');
  assert.equal(answer.choices[0].message.content, word.repeat(7));
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assertUsage(answer.usage, await ended(model));
});

test('usage with cached tokens', async () => {
  const model = await play({ Tokens: 3, Cached: 8 });
  const answer = await client.chat.completions.create({ model: model.id, messages: ask() });
  assertUsage(answer.usage, await ended(model));
  assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 8);
});

function assertUsage(usage, entry) {
  assert.ok(entry.Reported && entry.Finished);
  assert.equal(usage.prompt_tokens, entry.Prompt);
  assert.equal(usage.prompt_tokens, promptTokens);
  assert.equal(usage.completion_tokens, entry.Sent);
  assert.equal(usage.total_tokens, entry.Prompt + entry.Sent);
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map((c) => c.choices[0]?.delta?.content ?? '').join('');

test('stream', async () => {
  const model = await play({ Tokens: 12 });
  const chunks = await collect(await client.chat.completions.create({ model: model.id, messages: ask(), stream: true }));
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(textOf(chunks), word.repeat(12));
  assert.ok(chunks.length > 12, 'a piece for each token');
  assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
  assert.deepEqual(chunks.map((c) => c.choices[0]?.finish_reason).filter(Boolean), ['stop']);
  assert.ok(chunks.every((c) => c.choices.length === 1 && !c.usage), 'usage that nobody asked for');
});

test('stream with include_usage', async () => {
  const model = await play({ Tokens: 9 });
  const chunks = await collect(await client.chat.completions.create({
    model: model.id, messages: ask(), stream: true, stream_options: { include_usage: true },
  }));
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assertUsage(last.usage, await ended(model));
  assert.ok(chunks.every((c) => c.choices.length === 1 && !c.usage), 'usage comes last, alone');
});

test('tool calls', async () => {
  const model = await play(weatherCall, { Tokens: 4 });
  const messages = ask('Weather in Lisbon?');
  const first = await client.chat.completions.create({ model: model.id, messages, tools: [weatherTool] });
  const [choice] = first.choices;
  assert.equal(choice.finish_reason, 'tool_calls');
  assert.deepEqual(choice.message.tool_calls, [
    { id: 'call_weather', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Lisbon"}' } },
  ]);
  const second = await client.chat.completions.create({
    model: model.id, tools: [weatherTool],
    messages: [...messages, choice.message, { role: 'tool', tool_call_id: 'call_weather', content: 'sunny' }],
  });
  assert.equal(second.choices[0].message.content, word.repeat(4));
  assertToolRoundTrip(await books(model));
});

// The provider saw the tool, and then the call with its result.
function assertToolRoundTrip(entries) {
  assert.equal(entries.length, 2);
  assert.equal(entries[0].Body.tools[0].function.name, 'get_weather');
  assert.deepEqual(entries[0].Body.tools[0].function.parameters, weatherTool.function.parameters);
  const [call, result] = entries[1].Body.messages.slice(-2);
  assert.equal(call.role, 'assistant');
  assert.deepEqual(call.tool_calls[0].function, { name: 'get_weather', arguments: '{"city":"Lisbon"}' });
  assert.deepEqual([result.role, result.tool_call_id, result.content], ['tool', call.tool_calls[0].id, 'sunny']);
}

test('streamed tool calls, put together by the SDK', async () => {
  const model = await play({
    Calls: [...weatherCall.Calls, { ID: 'call_second', Name: 'get_weather', Arguments: ['{"city":', '"Porto"}'] }],
  });
  const stream = client.chat.completions.stream({ model: model.id, messages: ask(), tools: [weatherTool] });
  const whole = await stream.finalChatCompletion();
  assert.equal(whole.choices[0].finish_reason, 'tool_calls');
  assert.deepEqual(
    whole.choices[0].message.tool_calls.map((c) => [c.id, c.function.name, c.function.arguments]),
    [['call_weather', 'get_weather', '{"city":"Lisbon"}'], ['call_second', 'get_weather', '{"city":"Porto"}']],
  );
});

for (const stream of [false, true]) {
  test(`runTools, stream: ${stream}`, async () => {
    const model = await play(weatherCall, { Tokens: 5 });
    const asked = [];
    const runner = client.chat.completions.runTools({
      model: model.id, messages: ask(), stream,
      tools: [{
        type: 'function',
        function: {
          ...weatherTool.function, parse: JSON.parse,
          function: (args) => { asked.push(args); return 'sunny'; },
        },
      }],
    });
    assert.equal(await runner.finalContent(), word.repeat(5));
    assert.deepEqual(asked, [{ city: 'Lisbon' }]);
    assertToolRoundTrip(await books(model));
  });
}

test('images reach the provider unchanged', async () => {
  const model = await play({});
  const content = [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}`, detail: 'low' } },
    { type: 'image_url', image_url: { url: 'https://example.com/room.png' } },
  ];
  await client.chat.completions.create({ model: model.id, messages: ask(content) });
  const [entry] = await books(model);
  assert.deepEqual(entry.Body.messages.at(-1), { role: 'user', content });
});

test('errors before the first token', async (t) => {
  const limited = await play({ Status: 429, Code: 'rate_limit_exceeded', RetryAfter: '7' });
  const stranger = new OpenAI({ baseURL, apiKey: 'nope', maxRetries: 0 });
  const cases = {
    'bad key': [stranger, { model: 'echo' }, OpenAI.AuthenticationError, 401],
    'unknown model': [client, { model: 'nope-1' }, OpenAI.NotFoundError, 404],
    'bad body': [client, { model: 'echo', temperature: 9 }, OpenAI.UnprocessableEntityError, 422],
    'over a limit': [client, { model: limited.id }, OpenAI.RateLimitError, 429],
  };
  for (const [name, [who, params, kind, status]] of Object.entries(cases)) {
    for (const stream of [false, true]) {
      await t.test(`${name}, stream: ${stream}`, async () => {
        await assert.rejects(who.chat.completions.create({ messages: ask(), stream, ...params }), (e) => {
          assert.ok(e instanceof kind, `${e.constructor.name}: ${e.message}`);
          assert.equal(e.status, status);
          assert.ok(e.type && e.error.message, 'an error object of OpenAI');
          if (status === 429) assert.equal(e.headers.get('retry-after'), '7');
          return true;
        });
      });
    }
  }
});

test('errors in the middle of a stream', async (t) => {
  for (const fault of ['error', 'cut']) {
    await t.test(fault, async () => {
      const model = await play({ Fault: fault, After: 3 });
      const stream = await client.chat.completions.create({ model: model.id, messages: ask(), stream: true });
      let text = '';
      await assert.rejects(async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? '';
      }, (e) => e instanceof OpenAI.APIError && e.message.length > 0);
      assert.equal(text, word.repeat(3), 'what came before the error');
    });
  }
});

test('leaving a stream stops the provider', async () => {
  const model = await play({ Fault: 'stall', After: 3 });
  const stream = await client.chat.completions.create({ model: model.id, messages: ask(), stream: true });
  let text = '';
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    if (text === word.repeat(3)) stream.controller.abort();
  }
  const entry = await ended(model);
  assert.ok(entry.HungUp && !entry.Finished, 'the provider is told');
  assert.equal(entry.Sent, 3);
});

// The last test: Gaia stops asking a provider that fails again and again.
test('a provider that is down', async () => {
  const model = await play({ Status: 503 });
  for (const stream of [false, true]) {
    await assert.rejects(client.chat.completions.create({ model: model.id, messages: ask(), stream }), (e) => {
      assert.ok(e instanceof OpenAI.InternalServerError, `${e.constructor.name}: ${e.message}`);
      assert.equal(e.status, 503);
      assert.ok(e.type && e.error.message);
      return true;
    });
  }
  assert.ok((await books(model)).length > 0, 'the provider was asked');
});
