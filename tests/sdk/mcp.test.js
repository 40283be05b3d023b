// The official client of the Model Context Protocol, over HTTP and over standard input and output.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiKey, baseURL } from './gaia.js';
import { connect, endpoint, onStdio, overHTTP, text, waysWith } from './mcpways.js';

for (const [way, transport] of Object.entries(waysWith({}))) {
  test(way, async (t) => {
    const client = await connect(transport());
    t.after(() => client.close());

    await t.test('says who it is and what it can do', () => {
      assert.equal(client.getServerVersion().name, 'gaia');
      assert.deepEqual(Object.keys(client.getServerCapabilities()).sort(), ['completions', 'prompts', 'resources', 'tools']);
      assert.match(client.getInstructions(), /chat/);
    });

    await t.test('lists and calls tools', async () => {
      const { tools } = await client.listTools();
      const names = tools.map((tool) => tool.name);
      for (const name of ['chat', 'list_personas', 'get_persona', 'list_models', 'list_conversations', 'read_conversation']) {
        assert.ok(names.includes(name), names.join());
      }
      // The client itself checks the result against the schema that the tool has for it.
      const answer = await client.callTool({ name: 'chat', arguments: { message: 'Good morning', model: 'echo' } });
      assert.match(text(answer), /Good morning/);
      assert.equal(answer.structuredContent.answer, text(answer));
      assert.equal(answer.structuredContent.model, 'echo');
      assert.ok(answer.structuredContent.usage.total_tokens > 0);
      const read = await client.callTool({ name: 'read_conversation', arguments: { conversation_id: answer.structuredContent.conversation_id } });
      assert.equal(read.structuredContent.messages[1].content, 'Good morning');
    });

    await t.test('reads prompts, resources and completions', async () => {
      const { prompts } = await client.listPrompts();
      assert.ok(prompts.some((p) => p.name === 'Mu'));
      const prompt = await client.getPrompt({ name: 'Mu', arguments: { message: 'Hello' } });
      assert.deepEqual(prompt.messages.map((m) => m.role), ['user', 'user']);
      assert.equal(prompt.messages[1].content.text, 'Hello');
      const { resources } = await client.listResources();
      const mu = resources.find((r) => r.name === 'Mu');
      const { contents } = await client.readResource({ uri: mu.uri });
      assert.equal(JSON.parse(contents[0].text).name, 'Mu');
      const { resourceTemplates } = await client.listResourceTemplates();
      assert.ok(resourceTemplates.some((r) => r.uriTemplate === 'gaia://conversations/{id}'));
      const { completion } = await client.complete({ ref: { type: 'ref/resource', uri: 'gaia://personas/{id}' }, argument: { name: 'id', value: 'Mu' } });
      assert.ok(completion.values.includes(mu.uri.split('/').at(-1)));
    });

    await t.test('tells failures', async () => {
      const failed = await client.callTool({ name: 'get_persona', arguments: { persona: 'Nobody' } });
      assert.equal(failed.isError, true);
      assert.equal(text(failed), 'Persona not found: Nobody');
      const invalid = await client.callTool({ name: 'chat', arguments: { message: 5 } });
      assert.equal(invalid.isError, true);
      await assert.rejects(client.callTool({ name: 'no_such_tool' }), { code: -32602 });
      await assert.rejects(client.readResource({ uri: 'gaia://personas/nobody' }), { code: -32602 });
      await assert.rejects(client.getPrompt({ name: 'Nobody' }), { code: -32602 });
      await assert.rejects(client.setLoggingLevel('debug'));
    });

    await t.test('tells how far an answer is, and stops when it is told to', async () => {
      const giveUp = new AbortController();
      const heard = [];
      const answer = client.callTool({ name: 'chat', arguments: { message: 'word '.repeat(2000), model: 'echo' } }, undefined, {
        signal: giveUp.signal,
        onprogress: (p) => {
          heard.push(p.progress);
          if (heard.length === 2) giveUp.abort('enough');
        },
      });
      await assert.rejects(answer, /enough/);
      assert.ok(heard[0] > 0 && heard[1] > heard[0], heard.join());
      // What was written so far is there, and not the whole of it: nothing goes on.
      const deadline = Date.now() + 20_000;
      for (;;) {
        const list = await client.callTool({ name: 'list_conversations', arguments: { limit: 1 } });
        const id = list.structuredContent.conversations[0].id;
        const read = await client.callTool({ name: 'read_conversation', arguments: { conversation_id: id, limit: 2 } });
        const [last, question] = read.structuredContent.messages;
        if (question.content.startsWith('word word') && last.role === 'assistant') {
          assert.ok(last.content.length < 5000, last.content);
          break;
        }
        assert.ok(Date.now() < deadline, 'nothing was kept');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });

    await t.test('answers twenty calls at once', async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => client.callTool({ name: 'get_persona', arguments: { persona: `Nobody ${i}` } })),
      );
      results.forEach((r, i) => assert.equal(text(r), `Persona not found: Nobody ${i}`));
    });
  });
}

test('whoever is not known gets nothing', async (t) => {
  for (const [about, headers, status] of [
    ['no key', {}, 401],
    ['a wrong token', { Authorization: 'Bearer nope' }, 401],
    ['a wrong key', { 'X-API-Key': 'nope' }, 403],
  ]) {
    await t.test(about, () => assert.rejects(connect(overHTTP(headers)), { code: status }));
  }
  await t.test('a wrong key, handed on', () =>
    assert.rejects(connect(onStdio({ GAIA_URL: endpoint.origin, GAIA_API_KEY: 'nope' })), /Gaia answered 403/));
});

test('a key that may only read personas', async (t) => {
  const made = await fetch(`${baseURL}/auth/api-keys`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', 'X-API-Key': apiKey }, body: JSON.stringify({ name: 'Reader', scopes: ['personas:read'] }),
  });
  const client = await connect(overHTTP({ 'X-API-Key': (await made.json()).api_key }));
  t.after(() => client.close());
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name).sort(), ['get_persona', 'list_personas']);
  const refused = await client.callTool({ name: 'chat', arguments: { message: 'Hi' } });
  assert.equal(refused.isError, true);
  assert.equal(text(refused), 'This API key lacks the scope chat:write');
});

// The client closes the standard input of the process, and kills it after two seconds. A busy machine may need those for once; a process that
// does not end by itself is killed in every try.
test('the process on stdio ends when its client does', async () => {
  let quickest = Infinity;
  for (let tries = 0; tries < 3 && quickest >= 2000; tries++) {
    quickest = Math.min(quickest, await leaveInTheMiddle());
  }
  assert.ok(quickest < 2000, `it took ${quickest} ms`);
});

// leaveInTheMiddle closes a client that is waiting for an answer, and tells how many milliseconds passed until its process was gone.
async function leaveInTheMiddle() {
  const transport = onStdio({ GAIA_DATA_DIR: process.env.GAIA_OTHER_DATA });
  const client = await connect(transport);
  const pid = transport.pid;
  const slow = client.callTool({ name: 'chat', arguments: { message: 'word '.repeat(2000), model: 'echo' } }).catch(() => {});
  const begun = Date.now();
  await client.close();
  await slow;
  const took = Date.now() - begun;
  if (took < 2000) { // one that was killed may be gone a moment later
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  }
  return took;
}
