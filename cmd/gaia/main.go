// Command gaia serves the whole platform in one process, or takes care of its database. It is the composition root: the only place
// that reads the environment and knows every adapter. It must not hold rules of the domain.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// build is the version of the program; the linker sets it.
var build = "dev"

func main() {
	ctx, stop := context.WithCancel(context.Background())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-asked
		signal.Reset(os.Interrupt, syscall.SIGTERM) // first: whoever sees that the process stops can end it at once by a second one
		stop()
	}()
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gaia:", err)
		os.Exit(exitCode(err))
	}
}

const usage = `Gaia serves chat, personas and assets behind the API of the LLM Platform.

Usage:
  gaia serve                    serve everything (the default)
  gaia serve --services=LIST    serve a part, beside other processes: any of gateway, auth, asset, chat, with commas between
  gaia health [URL]             ask a process how it is: the one with these settings, or the one at URL; fails when it is not ready
  gaia services                 show which processes run, and how they are: see gaia services help
  gaia migrate up|down|status   change the database's schema, or show where it stands
  gaia accounts password EMAIL  give a local account a new password, read from standard input
  gaia keys …                   make, list, revoke and replace API keys: see gaia keys help
  gaia tools                    start the servers of TOOLS_FILE, show how they are and which tools they have, and stop them
  gaia files                    serve files, as MCP_FILESYSTEM_ROOT says, to one MCP client on standard input and output
  gaia events tail [SUBJECT]    show events as they happen: see gaia events help
  gaia mcp                      serve one MCP client on standard input and output: see gaia mcp help
  gaia config                   show the configuration in force, secrets masked
  gaia version                  show the version
  gaia help                     show this

SIGTERM lets gaia serve finish what it does, within SHUTDOWN_TIMEOUT; SIGHUP has it start anew, program and settings, without refusing anybody.

Settings come from the environment and from the file .env in the working directory; .env.example lists them all.
Without any, gaia serves on 127.0.0.1:8666 and keeps its data in ./data.
`

// errUsage is a command line that makes no sense.
var errUsage = errors.New("see gaia help")

func exitCode(err error) int {
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

func run(ctx context.Context, args []string, out io.Writer) error {
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "serve":
		return runServe(ctx, args, out)
	case "health":
		return runHealth(ctx, args, out)
	case "services":
		return runServices(ctx, args, out)
	case "migrate":
		return withConfig(args, 1, func(c config) error { return migrate(ctx, c, args[0], out) })
	case "accounts":
		return withConfig(args, 2, func(c config) error { return accountCommand(ctx, c, args[0], args[1], os.Stdin, out) })
	case "keys":
		return runKeys(ctx, args, out, os.Stderr)
	case "tools":
		return withConfig(args, 0, func(c config) error { return listTools(ctx, c, out) })
	case "files":
		return withConfig(args, 0, func(c config) error { return serveFiles(ctx, c, os.Stdin, out) })
	case "mcp":
		return runMCP(ctx, args, os.Stdin, out, os.Stderr)
	case "events":
		return runEvents(ctx, args, out, os.Stderr)
	case "config":
		return withConfig(args, 0, func(c config) error { return c.print(out) })
	case "version", "--version":
		_, err := fmt.Fprintln(out, build)
		return err
	case "help", "--help", "-h":
		_, err := io.WriteString(out, usage)
		return err
	default:
		return fmt.Errorf("unknown command %q: %w", command, errUsage)
	}
}

// withConfig runs a command that takes so many arguments and needs the configuration.
func withConfig(args []string, want int, command func(config) error) error {
	return withConfigOf(os.Environ(), args, want, command)
}

// withConfigOf is withConfig in another environment.
func withConfigOf(environment, args []string, want int, command func(config) error) error {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		_, err := io.WriteString(os.Stdout, usage)
		return err
	}
	if len(args) != want {
		return fmt.Errorf("wrong number of arguments: %w", errUsage)
	}
	c, err := loadConfig(".env", environment)
	if err != nil {
		return err
	}
	return command(c)
}
