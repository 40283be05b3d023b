// Tools that Gaia itself calls, as the `openai` and `ai` packages see them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { convertToModelMessages, DefaultChatTransport, generateText, readUIMessageStream, streamText, uiMessageChunkSchema } from 'ai';
import OpenAI from 'openai';
import { apiKey, baseURL, books, play, word } from './gaia.js';

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const gaia = createOpenAICompatible({ name: 'gaia', baseURL, apiKey, includeUsage: true });
const call = (ID, tool, room) => ({ ID, Name: `rooms__${tool}`, Arguments: ['{"room":', `"${room}"}`] });

// Two tools in a row, then words and two calls at once, one of which fails, then the answer.
const rounds = [
  { Calls: [call('a', 'measure', 'hall')] },
  { Calls: [call('b', 'measure', 'kitchen')] },
  { Tokens: 1, Word: 'Two more.', Calls: [call('c', 'measure', 'attic'), call('d', 'locked', 'cellar')] },
  { Tokens: 3 },
];
const text = `Two more.\n\n${word.repeat(3)}`;
const events = [
  { type: 'tool_use', tool: 'rooms__measure', result: 'hall is 4 by 6 metres' },
  { type: 'tool_use', tool: 'rooms__measure', result: 'kitchen is 4 by 6 metres' },
  { type: 'tool_use', tool: 'rooms__measure', result: 'attic is 4 by 6 metres' },
  { type: 'tool_error', tool: 'rooms__locked', error: 'cellar is locked' },
];
const messages = [{ role: 'user', content: 'Measure!' }];

test('openai: create', async () => {
  const model = await play(...rounds);
  const answer = await client.chat.completions.create({ model: model.id, messages });
  assert.equal(answer.choices[0].message.content, text);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.choices[0].message.tool_calls, undefined);
  assert.deepEqual(answer._metadata.tool_events, events);
  assert.equal(answer.usage.prompt_tokens, (await books(model)).reduce((sum, e) => sum + e.Prompt, 0), 'the usage is that of all rounds');
});

test('openai: stream', async () => {
  const model = await play(...rounds);
  const stream = client.chat.completions.stream({ model: model.id, messages, stream_options: { include_usage: true } });
  const seen = [];
  stream.on('chunk', (chunk) => { if (chunk.tool_event) seen.push(chunk.tool_event); });
  const answer = await stream.finalChatCompletion();
  assert.equal(answer.choices[0].message.content, text);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.choices[0].message.tool_calls, undefined);
  assert.equal(answer.usage.prompt_tokens, 4 * 11);
  assert.deepEqual(seen, events);
});

test('openai: tools of the client come back', async () => {
  const model = await play(rounds[0]);
  const tools = [{ type: 'function', function: { name: 'rooms__measure', parameters: { type: 'object', properties: { room: { type: 'string' } } } } }];
  const answer = await client.chat.completions.stream({ model: model.id, messages, tools }).finalChatCompletion();
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  assert.deepEqual(answer.choices[0].message.tool_calls.map((c) => [c.id, c.function.name, c.function.arguments]), [['a', 'rooms__measure', '{"room":"hall"}']]);
  assert.equal((await books(model)).length, 1, 'nothing was called in between');
});

test('ai: generateText and streamText', async () => {
  const whole = await generateText({ model: gaia((await play(...rounds)).id), messages, maxRetries: 0 });
  assert.deepEqual([whole.text, whole.finishReason, whole.toolCalls.length, whole.steps.length], [text, 'stop', 0, 1]);
  const result = streamText({ model: gaia((await play(...rounds)).id), messages, maxRetries: 0 });
  let streamed = '';
  for await (const piece of result.textStream) streamed += piece;
  assert.deepEqual([streamed, await result.finishReason, (await result.toolCalls).length], [text, 'stop', 0]);
});

async function uiStream(model, check) {
  const transport = new DefaultChatTransport({
    api: `${baseURL}/chat/completions`,
    headers: { Authorization: `Bearer ${apiKey}`, 'X-Vercel-AI-UI-Message-Stream': 'v1' },
    prepareSendMessagesRequest: () => ({ body: { model: model.id, stream: true, messages } }),
  });
  const stream = await transport.sendMessages({
    trigger: 'submit-message', chatId: 'chat-1', messageId: undefined, abortSignal: undefined,
    messages: [{ id: 'm-1', role: 'user', parts: [{ type: 'text', text: 'Measure!' }] }],
  });
  let message;
  for await (const state of readUIMessageStream({ stream: stream.pipeThrough(new TransformStream({ transform: check })), terminateOnError: true })) message = state;
  return message;
}

test('ai: UI message stream', async () => {
  const schema = uiMessageChunkSchema();
  const kinds = [];
  const message = await uiStream(await play(...rounds), async (chunk, controller) => {
    const { success, error } = await schema.validate(chunk);
    assert.ok(success, `${JSON.stringify(chunk)}: ${error}`);
    kinds.push(chunk.type);
    controller.enqueue(chunk);
  });
  assert.deepEqual(kinds.filter((k) => k !== 'text-delta' && k !== 'tool-input-delta'), [
    'start', 'start-step', 'tool-input-start', 'tool-input-available', 'tool-output-available', 'finish-step',
    'start-step', 'tool-input-start', 'tool-input-available', 'tool-output-available', 'finish-step',
    'start-step', 'text-start', 'text-end', 'tool-input-start', 'tool-input-start', 'tool-input-available', 'tool-input-available',
    'tool-output-available', 'tool-output-error', 'finish-step', 'start-step', 'text-start', 'text-end', 'finish-step', 'finish',
  ]);
  const tools = message.parts.filter((p) => p.type === 'dynamic-tool');
  assert.deepEqual(tools.map((p) => [p.toolCallId, p.toolName, p.state, p.input.room, p.output ?? p.errorText, p.providerExecuted]), [
    ['a', 'rooms__measure', 'output-available', 'hall', 'hall is 4 by 6 metres', true],
    ['b', 'rooms__measure', 'output-available', 'kitchen', 'kitchen is 4 by 6 metres', true],
    ['c', 'rooms__measure', 'output-available', 'attic', 'attic is 4 by 6 metres', true],
    ['d', 'rooms__locked', 'output-error', 'cellar', 'cellar is locked', true],
  ]);
  assert.equal(message.parts.filter((p) => p.type === 'text').map((p) => p.text).join(''), text);
  assert.equal(message.metadata.finish_reason, 'stop');
  await convertToModelMessages([message]); // what the SDK makes of it for the next question must be possible
});
