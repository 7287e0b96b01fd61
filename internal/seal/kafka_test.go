package seal

import (
	"testing"

	"github.com/dalamb/dalamb/internal/need"
)

// TestOnKafka is the tests above on brokers, where nodes share the log.
func TestOnKafka(t *testing.T) {
	t.Setenv("DALAMB_TEST_KAFKA", need.Kafka(t))
	for name, test := range map[string]func(*testing.T){
		"Stored":   TestPayloadsOfSealedTopicsAreStoredSealed,
		"Forget":   TestForgetTakesTheEventsOfOneKeyForGood,
		"Repeats":  TestWhatRepeatsAPayloadIsForgottenWithIt,
		"Commits":  TestCommitsAreSealedAndTellOfTheirOwnRecordsAlone,
		"Hostile":  TestHostileSealsStopNobody,
		"Stranger": TestWithoutTheInstallationsKeyNothingIsTakenForForgotten,
		"Forged":   TestARootKeyThatNobodyCouldHaveStoredStopsNobody,
		"Rootless": TestAnEventIsDamagedOnlyWhereTheNodeHasTheInstallationsKey,
		"Further":  TestARootKeyThatStandsFurtherOnIsFound,
	} {
		t.Run(name, test)
	}
}
