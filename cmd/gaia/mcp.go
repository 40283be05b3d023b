package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"gaia/adapters/httpapi"
	"gaia/adapters/mcpserver"
	"gaia/domain"
	"gaia/internal/logging"
)

const mcpUsage = `Usage:
  gaia mcp

Offers Gaia to one client of the Model Context Protocol, on standard input and output: chat, personas, conversations, models, workflows and
assets as tools, personas as prompts. It ends when standard input does. Logs go to standard error.

With GAIA_URL and GAIA_API_KEY it hands everything on to the Gaia that runs there, as the owner of that key. Without GAIA_URL it works by
itself, as the operator, on the database that DATABASE_URL or GAIA_DATA_DIR names. A server, and more clients like this one, may work on the
same data folder at the same time; events of what is done here are sent by the server, at once when one runs or else when it is started.
It works on the workflows and assets that are ordered in it and on no others. What it leaves unfinished goes on when a server runs, an asset
also when another process like this one is asked for it with the same idempotency_key.

A client that starts it itself, such as a desktop application, wants an entry like this in its file of servers:

  {"mcpServers": {"gaia": {"command": "gaia", "args": ["mcp"], "env": {"GAIA_DATA_DIR": "/home/me/gaia"}}}}
`

// wireMCP offers what the API offers to clients of the Model Context Protocol, too, and has the API answer them. Assets are those of this
// process, where it serves them, or the same ones.
func (s *system) wireMCP(c config, p parts, api *httpapi.Config, log *slog.Logger) error {
	assets, generations := api.Assets, api.Generations
	if assets == nil {
		_, made, err := s.openAssets(c, p, log)
		if err != nil {
			return err
		}
		assets, generations = made.assets, made.generations
	}
	s.mcp = mcpserver.New(mcpserver.Config{
		Chat: api.Chat, Personas: api.Personas, Models: api.Models, Conversations: api.Conversations, Workflows: api.Workflows, Files: api.Files,
		Assets: assets, Generations: generations, Build: build, PingInterval: api.PingInterval, PublicURL: api.PublicURL, Stopping: s.stopping,
		Log: api.Log,
	})
	api.MCP = s.mcp.Serve
	return nil
}

// runMCP serves one client on in and out.
func runMCP(ctx context.Context, args []string, in io.ReadCloser, out, info io.Writer) error {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
		_, err := io.WriteString(out, mcpUsage)
		return err
	}
	return withConfig(args, 0, func(c config) error {
		stop := context.AfterFunc(ctx, func() { _ = in.Close() }) // a read of it would not end by itself
		defer stop()
		if c.RemoteURL != "" {
			bridge := &mcpserver.Bridge{URL: c.RemoteURL, APIKey: c.RemoteKey, HTTP: &http.Client{CheckRedirect: stayOnHost}}
			if err := bridge.Run(ctx, in, out); err != nil && ctx.Err() == nil {
				return err
			}
			return nil
		}
		return serveMCP(ctx, c, in, out, info)
	})
}

// serveMCP serves a client in this process, beside a server on the same data that may run or not.
func serveMCP(ctx context.Context, c config, in io.ReadCloser, out, info io.Writer) error {
	level, err := logging.ParseLevel(c.LogLevel)
	if err != nil {
		return err
	}
	if c.Debug {
		level = slog.LevelDebug
	}
	log := logging.New(info, c.ServiceName, level)
	dataDir, err := c.dataDir()
	if err != nil {
		return err
	}
	where := folders{data: dataDir, visitor: true}
	if c.NATSURL == "" {
		// The bus in the data folder is the server's, which alone sends what waits in the database. This process has one for itself.
		if where.bus, err = os.MkdirTemp("", "gaia-mcp-*"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(where.bus) }()
	}
	c.LocalAccounts, c.Services = accountsOff, string(domain.ServiceChat) // nobody signs in here
	key, err := visitorKey(c, dataDir)
	if err != nil {
		return err
	}
	sys, err := wireIn(ctx, c, where, key, log)
	if err != nil {
		return err
	}
	defer sys.close()
	logging.Lifecycle(log, "answering a client of the Model Context Protocol", "build", build, "database", sys.databaseKind)
	err = sys.mcp.Run(ctx, domain.ServicePrincipal(), in, unclosed{out})
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// unclosed is a writer that is left open for whoever made it.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// stayOnHost keeps the API key from whoever answers with a redirect: net/http would take it along to any host.
func stayOnHost(next *http.Request, before []*http.Request) error {
	first := before[0].URL
	if len(before) >= 10 || next.URL.Host != first.Host || next.URL.Scheme != first.Scheme {
		return fmt.Errorf("the server redirects to %s://%s: set GAIA_URL to the address that it really has", next.URL.Scheme, next.URL.Host)
	}
	return nil
}
