// Package natsbus tells other services what happened, and other processes of Gaia what they must forget, through NATS. Without an
// address it runs a NATS server of its own inside the process.
//
// The bus is an optional part: nothing here may fail a request or make it wait. The package must not decide what is worth telling.
package natsbus
