package rediskv

import (
	"context"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

// Observe is told of each command before it goes to the server, by its name, never by its keys. It returns the context that the command
// goes on with, and what is called at its end.
type Observe func(ctx context.Context, command string) (context.Context, func(error))

// observer tells of commands where the library allows it.
type observer struct{ observe Observe }

var _ redis.Hook = observer{}

// DialHook implements redis.Hook.
func (observer) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (o observer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, end := o.observe(ctx, cmd.Name())
		err := next(ctx, cmd)
		end(unanswered(err))
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (o observer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, end := o.observe(ctx, "pipeline")
		err := next(ctx, cmds)
		end(unanswered(err))
		return err
	}
}

// unanswered is an error that is no answer: that there is nothing, or a script that is not known yet, is one.
func unanswered(err error) error {
	var refused redis.Error
	if errors.As(err, &refused) {
		return nil
	}
	return err
}
