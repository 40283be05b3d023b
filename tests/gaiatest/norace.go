//go:build !race

package gaiatest

const raceDetector = false
