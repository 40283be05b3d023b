// Package chaos breaks everything that Gaia consists of while clients use it, and looks whether they were told the truth all the time and
// whether the books add up afterwards.
//
// It holds tests only. Unlike those of package e2e they look into the database, the stream of events and the folder of files: when all is
// over.
package chaos
