//go:build !linux

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
)

func closeOnExec(uintptr) {}

func duplicate(*net.TCPListener, string) (*os.File, error) { return nil, errors.ErrUnsupported }

// hangups: a restart without a gap is for Linux.
func hangups() (<-chan os.Signal, func()) { return nil, func() {} }

const handOverLinger = idleLinger

type restart struct{ inPlace bool }

func newRestart(config, *sockets, *slog.Logger) *restart { return &restart{} }

func (*restart) begin(context.Context) bool { return false }

func (*restart) replace([]*os.File, string) error { return errors.ErrUnsupported }
