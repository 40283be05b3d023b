import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, DefaultChatTransport, generateText, readUIMessageStream, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { apiKey, baseURL, books, ended, pixel, play, promptTokens, weatherCall, word } from './gaia.js';

const gaia = createOpenAICompatible({ name: 'gaia', baseURL, apiKey, includeUsage: true });
const request = (model, rest) => ({ model: gaia(model.id ?? model), prompt: 'Hello', maxRetries: 0, ...rest });
const quiet = { onError: () => {} }; // the SDK would print what a test expects

function assertUsage(usage, entry) {
  assert.ok(entry.Reported && entry.Finished);
  assert.equal(usage.inputTokens, entry.Prompt);
  assert.equal(usage.inputTokens, promptTokens);
  assert.equal(usage.outputTokens, entry.Sent);
  assert.equal(usage.totalTokens, entry.Prompt + entry.Sent);
}

test('generateText', async () => {
  const model = await play({ Tokens: 6 });
  const { text, usage, finishReason } = await generateText(request(model));
  assert.equal(text, word.repeat(6));
  assert.equal(finishReason, 'stop');
  assertUsage(usage, await ended(model));
});

test('streamText', async () => {
  const model = await play({ Tokens: 8 });
  const result = streamText(request(model));
  const pieces = [];
  for await (const piece of result.textStream) pieces.push(piece);
  assert.deepEqual(pieces, Array(8).fill(word));
  assert.equal(await result.finishReason, 'stop');
  assertUsage(await result.usage, await ended(model));
});

function weatherTool() {
  const asked = [];
  const get_weather = tool({
    description: 'Tells the weather.',
    inputSchema: z.object({ city: z.string() }),
    execute: async (input) => { asked.push(input); return 'sunny'; },
  });
  return { asked, tools: { get_weather } };
}

function assertToolRoundTrip(asked, entries) {
  assert.deepEqual(asked, [{ city: 'Lisbon' }]);
  assert.equal(entries.length, 2);
  assert.equal(entries[0].Body.tools[0].function.name, 'get_weather');
  const [call, result] = entries[1].Body.messages.slice(-2);
  assert.deepEqual(call.tool_calls[0].function, { name: 'get_weather', arguments: '{"city":"Lisbon"}' });
  assert.equal(result.tool_call_id, call.tool_calls[0].id);
  assert.match(JSON.stringify(result.content), /sunny/);
}

test('generateText with a tool', async () => {
  const model = await play(weatherCall, { Tokens: 4 });
  const { asked, tools } = weatherTool();
  const { text, steps } = await generateText(request(model, { tools, stopWhen: stepCountIs(3) }));
  assert.equal(text, word.repeat(4));
  assert.deepEqual(steps.map((s) => s.finishReason), ['tool-calls', 'stop']);
  assertToolRoundTrip(asked, await books(model));
});

test('streamText with a tool', async () => {
  const model = await play(weatherCall, { Tokens: 4 });
  const { asked, tools } = weatherTool();
  const result = streamText(request(model, { tools, stopWhen: stepCountIs(3) }));
  const kinds = new Set();
  for await (const part of result.fullStream) kinds.add(part.type);
  for (const kind of ['tool-input-start', 'tool-input-delta', 'tool-call', 'tool-result', 'text-delta', 'finish']) {
    assert.ok(kinds.has(kind), `no ${kind} in ${[...kinds]}`);
  }
  assert.equal(await result.text, word.repeat(4));
  assertToolRoundTrip(asked, await books(model));
});

test('an image reaches the provider', async () => {
  const model = await play({});
  await generateText(request(model, {
    prompt: undefined,
    messages: [{
      role: 'user',
      content: [{ type: 'text', text: 'What is this?' }, { type: 'image', image: pixel, mediaType: 'image/png' }],
    }],
  }));
  const [entry] = await books(model);
  assert.deepEqual(entry.Body.messages.at(-1).content, [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
  ]);
});

test('errors before the first token', async (t) => {
  const limited = await play({ Status: 429, Code: 'rate_limit_exceeded', RetryAfter: '7' });
  const stranger = createOpenAICompatible({ name: 'gaia', baseURL, apiKey: 'nope' });
  const cases = {
    'bad key': [{ model: stranger('echo') }, 401, false],
    'unknown model': [request('nope-1'), 404, false],
    'bad body': [request('echo', { temperature: 9 }), 422, false],
    'over a limit': [request(limited), 429, true],
  };
  for (const [name, [params, status, again]] of Object.entries(cases)) {
    const check = (e) => {
      assert.ok(APICallError.isInstance(e), String(e));
      assert.deepEqual([e.statusCode, e.isRetryable], [status, again]);
      assert.ok(e.data.error.message, 'the error object was understood');
      if (status === 429) assert.equal(e.responseHeaders['retry-after'], '7');
      return true;
    };
    await t.test(`${name}, generateText`, async () => {
      await assert.rejects(generateText({ prompt: 'Hello', maxRetries: 0, ...params }), check);
    });
    await t.test(`${name}, streamText`, async () => {
      let failure;
      const result = streamText({ prompt: 'Hello', maxRetries: 0, ...params, onError: ({ error }) => { failure = error; } });
      await result.consumeStream();
      check(failure);
    });
  }
});

test('an error in the middle of a stream', async (t) => {
  for (const fault of ['error', 'cut']) {
    await t.test(fault, async () => {
      const model = await play({ Fault: fault, After: 3 });
      const result = streamText(request(model, quiet));
      let text = '';
      let failure;
      for await (const part of result.fullStream) {
        if (part.type === 'text-delta') text += part.text;
        if (part.type === 'error') failure = part.error;
      }
      assert.ok(failure, 'the SDK saw the error');
      assert.equal(text, word.repeat(3), 'what came before the error');
    });
  }
});

test('leaving a stream stops the provider', async () => {
  const model = await play({ Fault: 'stall', After: 3 });
  const leaving = new AbortController();
  const aborted = [];
  const result = streamText(request(model, { abortSignal: leaving.signal, onAbort: () => aborted.push(true) }));
  let text = '';
  for await (const piece of result.textStream) {
    text += piece;
    if (text === word.repeat(3)) leaving.abort();
  }
  assert.deepEqual(aborted, [true]);
  const entry = await ended(model);
  assert.ok(entry.HungUp && !entry.Finished, 'the provider is told');
  assert.equal(entry.Sent, 3);
});

// The transport of useChat asks for UI messages; Gaia's body has the messages of OpenAI.
const transport = (model) => new DefaultChatTransport({
  api: `${baseURL}/chat/completions`,
  headers: { Authorization: `Bearer ${apiKey}`, 'X-Vercel-AI-UI-Message-Stream': 'v1' },
  prepareSendMessagesRequest: ({ messages }) => ({
    body: {
      model: model.id, stream: true,
      messages: messages.map((m) => ({ role: m.role, content: m.parts.map((p) => p.text ?? '').join('') })),
    },
  }),
});

async function uiMessage(model, onError) {
  const stream = await transport(model).sendMessages({
    trigger: 'submit-message', chatId: 'chat-1', messageId: undefined, abortSignal: undefined,
    messages: [{ id: 'm-1', role: 'user', parts: [{ type: 'text', text: 'Hello' }] }],
  });
  let message;
  for await (const state of readUIMessageStream({ stream, onError, terminateOnError: !onError })) message = state;
  return message;
}

test('UI message stream: text', async () => {
  const model = await play({ Tokens: 5 });
  const message = await uiMessage(model);
  assert.equal(message.role, 'assistant');
  assert.deepEqual(message.parts.filter((p) => p.type === 'text').map((p) => [p.text, p.state]), [[word.repeat(5), 'done']]);
  const entry = await ended(model);
  assert.equal(message.metadata.usage.completion_tokens, entry.Sent);
  assert.equal(message.metadata.usage.prompt_tokens, entry.Prompt);
});

test('UI message stream: tool call', async () => {
  const message = await uiMessage(await play(weatherCall));
  const [part] = message.parts.filter((p) => p.type.startsWith('tool-') || p.type === 'dynamic-tool');
  assert.equal(part.toolCallId, 'call_weather');
  assert.equal(part.state, 'input-available');
  assert.deepEqual(part.input, { city: 'Lisbon' });
});

test('UI message stream: error in the middle', async () => {
  const failures = [];
  const message = await uiMessage(await play({ Fault: 'error', After: 2 }), (e) => failures.push(e));
  assert.equal(failures.length, 1);
  assert.equal(message.parts.find((p) => p.type === 'text').text, word.repeat(2));
});

// The last test: Gaia stops asking a provider that fails again and again.
test('a provider that is down', async () => {
  const model = await play({ Status: 503 });
  const unavailable = (e) => APICallError.isInstance(e) && e.statusCode === 503 && e.isRetryable && e.data.error.message.length > 0;
  await assert.rejects(generateText(request(model)), unavailable);
  let failure;
  await streamText(request(model, { onError: ({ error }) => { failure = error; } })).consumeStream();
  assert.ok(unavailable(failure), String(failure));
  assert.ok((await books(model)).length > 0, 'the provider was asked');
});
