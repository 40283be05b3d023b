// The ways by which the official client of the Model Context Protocol reaches Gaia.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport, getDefaultEnvironment } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { apiKey } from './gaia.js';

export const endpoint = new URL(process.env.GAIA_MCP);

export const overHTTP = (headers) => new StreamableHTTPClientTransport(endpoint, { requestInit: { headers } });

export const onStdio = (env) =>
  new StdioClientTransport({
    command: process.env.GAIA_PROGRAM, args: ['mcp'], env: { ...getDefaultEnvironment(), ECHO_WORD_DELAY: '0.02', ...env }, stderr: 'ignore',
  });

export async function connect(transport) {
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(transport);
  return client;
}

// waysWith are all ways, with more settings for processes that this test starts and that work by themselves.
export const waysWith = (more) => ({
  'over HTTP with a key': () => overHTTP({ 'X-API-Key': apiKey }),
  'over HTTP with a key as a bearer token': () => overHTTP({ Authorization: `Bearer ${apiKey}` }),
  'over HTTP with an access token': () => overHTTP({ Authorization: `Bearer ${process.env.GAIA_TOKEN}` }),
  'on stdio, beside a server on the same data': () => onStdio({ GAIA_DATA_DIR: process.env.GAIA_DATA, ...more }),
  'on stdio, alone': () => onStdio({ GAIA_DATA_DIR: process.env.GAIA_OTHER_DATA, ...more }),
  'on stdio, handed on to a server': () => onStdio({ GAIA_URL: endpoint.origin, GAIA_API_KEY: apiKey }),
});

export const text = (result) => result.content.filter((c) => c.type === 'text').map((c) => c.text).join('');
