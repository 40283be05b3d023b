// Package memory keeps everything in the process. Its stores stand in for a database in tests of the use cases, held to the
// same contract suites as the real ones, and fail on command.
//
// It must not be offered as a production store: nothing survives a restart.
package memory
