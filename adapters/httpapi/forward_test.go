package httpapi

import "testing"

// TestLongOperations: names in code have to be those of the contract, as it is embedded.
func TestLongOperations(t *testing.T) {
	t.Parallel()
	var long, logouts int
	for _, op := range loadContract(t) {
		if takesLong(op) {
			long++
		}
		if op.ID == "V1Logout" {
			logouts++
		}
	}
	if long != 6 || logouts != 1 { // four chats, a generation and an upload
		t.Errorf("%d operations take long, and %d are logouts", long, logouts)
	}
}
