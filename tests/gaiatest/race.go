//go:build race

package gaiatest

const raceDetector = true
