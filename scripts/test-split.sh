#!/bin/sh
# Runs the tests that have one embedded server on a gateway with the other services behind it instead, each in a process of its own. Those
# of OnBackends have both in every run, with the race detector; here it would find nothing more and take three times as long.
set -eu
cd "$(dirname "$0")/.."

# About the embedded database, bus, key and accounts: what is in a data folder.
embedded='TestLocalAccountsKeepSecrets|TestKeysBeforeTheFirstStart|TestKeyOfTheFirstStart|TestTheEmbeddedBusTakesAllEvents'
# A gateway goes on with what it does itself when it hands on as much as it may; TestAGatewayHandsOnNoMoreThanItMay looks at that.
one='TestBusyServerSaysSo'
# These choose their servers themselves.
own='TestKilled.*|TestOutages|TestRevocation.*|TestRestart.*|TestEveryStreamEndsWhenItsProcessStops|TestAServiceThatStops.*|TestMCP.*OfAProcessThatStops|TestMoreProcesses.*|TestAGateway.*|Test.*AcrossReplicas|TestReplicas.*|TestWorkflowOnAnotherReplica|TestCachesSaveReads.*'

export GAIA_TEST_TOPOLOGY=split GAIA_TEST_REQUIRE=1
exec "${GO:-go}" test -count=1 -timeout 30m -skip "^($embedded|$one|$own)\$|/(embedded|full|split)\$" ./tests/compat ./tests/sdk ./tests/e2e
