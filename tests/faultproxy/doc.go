// Package faultproxy stands between two programs and does to their TCP connections what networks do: it delays, slows down, cuts up,
// swallows, breaks off and refuses. What it does can be changed at any time, and what it does by chance follows from a seed.
//
// It is for tests only. It must not know what is said on a connection.
package faultproxy
