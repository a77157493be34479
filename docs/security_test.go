// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs holds what is tested of the documentation itself.
package docs

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	inPolicies    = "test/integration/policies_test.go"
	inLivePolicy  = "test/integration/live_policies_test.go"
	inLiveRun     = "test/integration/live_run_test.go"
	inAsked       = "test/integration/live_asked_test.go"
	inNodePolicy  = "controllers/nodepolicy/"
	inSchedules   = "controllers/scanschedule/asked_test.go"
	inForged      = "test/integration/live_forged_test.go"
	inNodePods    = "controllers/sifscan/livepod_test.go"
	inNodeEngines = "controllers/sifscan/liveengine_test.go"
	inOpener      = "node-agent/opener/live_test.go"
	inLive        = "test/live/pod_test.go"
	onAKubelet    = "test/e2e/live_test.go"
	insideAPod    = "test/e2e/isolation_test.go"
)

// premise is a statement that says what is assumed, or why: there is nothing to test.
const premise = "premise"

// shownBy names, for each statement of security.md by its first words, the tests that would fail were it untrue: file, then
// test, in pairs.
var shownBy = map[string][]string{
	"Who may have what scanned, what scan pods may do": {premise},
	"Images, file names and processes are written by":  {premise},
	"| operator": {inPolicies, "has no verb on Secrets, and binds no role but the reporter's", inPolicies, "deletes no ConfigMap but artifacts",
		inLiveRun, "lets the operator delete no RoleBinding but those of such runs"},
	"| scanner | read what": {insideAPod, "gives the scanner no token", insideAPod, "without root, capabilities, new privileges",
		onAKubelet, "read by a scanner that has none"},
	"| reporter | write": {inPolicies, "reads no Secret, ConfigMap, pod or SIFScan", inPolicies, "an inventory of somebody else is refused",
		insideAPod, "mounts the volume read-only, for the scanner alone"},
	"| opener | see": {inNodePods, "gives the opener no token", inNodePods, "gives the opener nothing to write but that"},
	"| author of a SIFScan": {inPolicies, "refuses a user who may not create pods there", inLivePolicy, "refuses whoever may do everything in the namespace",
		"controllers/sifscan/job_test.go", "TestEveryScanPod"},
	"Reading ScanReports and ScanInventories is a role": {inPolicies, "gives the reports to nobody who may only read scans"},
	"Whoever may write them in a namespace can falsify": {inForged, "admission holds reporters, not who may do everything in the namespace"},
	"Whoever runs a container from a file system that":  {"test/live/fuse_test.go", "TestAUsersOwnFileSystemCanShowTheScannerWhatHisProcessesDoNotSee"},

	"They are off":                          {"cmd/manager/nodescans_test.go", "TestNodeScansAreOffUnlessANamespaceIsNamed"},
	"Install `config/node-scans` instead":   {"test/integration/suite_test.go", `"config", "node-scans"`},
	"Without, such a SIFScan is `Stalled`":  {inLiveRun, "is refused by an operator that is not configured for it"},
	"The operator starts with no other":     {"cmd/manager/nodescans_test.go", "--node-scans-namespace=elsewhere"},
	"A scan of nodes tells of every user's": {"test/live/modes_test.go", "TestAContainerIsListedAndScannedHoweverItWasStarted"},
	"So it takes a right over the cluster":  {inLivePolicy, "refuses whoever may do everything in the namespace, and names the missing right"},
	"`create nodescans.sifscan.io` is no":   {inLivePolicy, "may not create nodescans.sifscan.io in the cluster"},
	"The role is in no aggregated one": {inLivePolicy, "is a right in no aggregated role",
		inLivePolicy, "refuses even who gives themselves the right in the namespace"},
	"It is asked of the author of": {inLivePolicy, "lets who has the right over the cluster create, change and rescan"},
	"each SIFScan and ScanSchedule that is created": {inLivePolicy, "refuses to turn a scan of a volume into one of nodes",
		inLivePolicy, "asks the same of a ScanSchedule, for its template and for run-now"},
	"each change of spec, status, labels": {inLivePolicy, "refuses rescan-at, any other annotation, a label and a change of the spec",
		inLivePolicy, "refuses to make a finished run look unfinished"},
	"`sifscan.io/rescan-at` on somebody else's": {inLivePolicy, "refuses rescan-at, any other annotation, a label and a change of the spec"},
	"Deleting is not asked for":                 {inLivePolicy, "lets it be deleted, also in the foreground, whose bookkeeping writes finalizers"},
	"The operator makes the SIFScans of a":      {inLivePolicy, "exempts the operator by its name: a schedule's SIFScans are made"},
	"The account with which Flux or Argo CD": {inLivePolicy, "asks it of the account with which Flux or Argo CD applies, as of everybody",
		inLivePolicy, "has it allowed by cluster-admin, which may do everything"},

	"Before a run begins, and before a ScanSchedule": {inSchedules, "TestNoSIFScanOfNodesIsMadeForWhomNobodyAsked", inAsked, "no node is scanned, not even once it asks again",
		inNodePolicy + "policy_test.go", "TestNodesAreNotScannedWhereAdmissionDoesNotAskWhoMay"},
	"Where they are not, the run is over and": {inAsked, "no node is scanned, not even once it asks again, before who may asks for another run",
		inSchedules, "TestNoSIFScanOfNodesIsMadeForWhomNobodyAsked"},
	"What was there before policy and binding": {inAsked, "nothing begins that was made while no operator looked",
		inNodePolicy + "asked_test.go", "before API servers have taken it up"},
	"The condition `Asked` is then `False`": {inAsked, "a ScanSchedule makes no SIFScan before who may changes it",
		inNodePolicy + "asked_test.go", "older, and scanned again after it was seen"},
	"It names policy and binding by their": {inNodePolicy + "asked_test.go", "a note of the policy before"},
	"Who deletes and makes them anew":      {inNodePolicy + "asked_test.go", "the policy was made anew"},
	"A binding that was edited": {inAsked, "nothing begins with a binding that was edited and edited back, before it is made anew",
		inNodePolicy + "policy_test.go", "a binding that was edited, and edited back"},
	"The policy may be edited":             {inNodePolicy + "policy_test.go", "a policy of a later version of the operator"},
	"The operator looks when a run is due": {inNodePolicy + "asked_test.go", "one that was asked for, while there is none", inSchedules, "refusedRetry"},

	"`target.running`, `scanner.{engine": {inLivePolicy, "is accepted with all that may be set"},
	"Everything else is refused":         {inLivePolicy, "A manifest of running containers is refused with what to change"},
	"Tolerations are of the list in":     {inLiveRun, "refuses a toleration that the administrator did not allow"},
	"What an engine needs besides": {inLiveRun, "runs qscanner where the operator is configured for it, with a token of the pods' own namespace",
		inNodeEngines, "TestEveryPodOfAnExecutedEngineOnANode"},

	"In the namespace `sifscan-node`, the only one": {onAKubelet, "are looked at by an opener of two capabilities", inForged, "is the only one that takes privileged pods"},
	"Nobody but the operator needs a right":         {onAKubelet, "are scanned, each image once"},
	"Three containers":                              {inNodePods, "TestJobsOfNodes"},
	"| opener | 0":                                  {onAKubelet, "are looked at by an opener of two capabilities", inNodePods, "TestEveryNodePod"},
	"| scanner | 65530":                             {onAKubelet, "read by a scanner that has none", inNodeEngines, "TestJobsOfExecutedEnginesOnNodes"},
	"| reporter | 65531":                            {inNodePods, "runs the reporter as a user of its own", insideAPod, "gives the reporter a token of its own account, for this pod"},
	"Scanner and reporter are two users":            {inLive, "TestScannerAndReporterOfANodeCannotLookIntoEachOther", inNodePods, "runs the scanner as a user of its own"},
	"All have a read-only root file system":         {inNodePods, "TestEveryNodePod", onAKubelet, "are looked at by an opener of two capabilities"},
	"The opener gets the AppArmor profile":          {inNodePods, "images are read, of the containers in some pods"},
	"What the opener hands over of an image": {inOpener, "TestNothingIsWrittenThroughWhatIsHandedOut",
		"node-agent/opener/readonly_test.go", "TestWhatIsOpenForWritingIsOpenedAnewOrRefused"},
	"Otherwise it is a duplicate, and who": {inOpener, "a duplicate has the starter's, one that was opened anew has not"},
	"Where there is no image to read":      {inOpener, "TestWhoHasARootReadsAllThatIsMountedInTheContainerAndNoMore"},
	"The list of a run's nodes is chosen once": {inForged, "of another worker sends no pod to the node that it names",
		inForged, "in the place of the run's own leads its pods to no other node", inForged, "cannot reach where the list of nodes is kept",
		inLiveRun, "goes on with the same nodes"},

	"A pod can only use ServiceAccounts": {premise},
	"So each run has an account of its":  {inLiveRun, "gives a node's reporter the SIFScan's namespace, its own SIFScan, and nothing else"},
	"Admission holds it to its own":      {inLiveRun, "gives a node's reporter the SIFScan's namespace, its own SIFScan, and nothing else"},
	"Both are removed when the run ends": {inLiveRun, "the account and its rights end with the run"},
	"Owner references do not cross":      {premise},
	"Jobs and accounts in `sifscan-node`": {inLiveRun, "leaves nothing on nodes when the SIFScan is deleted, or asks for another run",
		inLiveRun, "is swept at the operator's start", "controllers/sifscan/livesweep_test.go", "TestWhatNobodyWantsOnNodesIsRemovedAtTheStartAndEveryTenMinutes"},
}

func TestEachStatementOnSecurityIsShownByATest(t *testing.T) {
	page, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, statement := range statements(string(page)) {
		found := ""
		for begin := range shownBy {
			if strings.HasPrefix(statement, begin) {
				found = begin
			}
		}
		if found == "" {
			t.Errorf("no test is named for: %s", statement)
		}
		used[found] = true
	}
	for begin, tests := range shownBy {
		if !used[begin] {
			t.Errorf("no longer on the page: %s", begin)
		}
		if tests[0] == premise {
			continue
		}
		for i := 0; i < len(tests); i += 2 {
			text, err := os.ReadFile("../" + tests[i])
			if err != nil || !strings.Contains(string(text), tests[i+1]) {
				t.Errorf("%s: %s has no test %q (%v)", begin, tests[i], tests[i+1], err)
			}
		}
	}
}

var (
	code        = regexp.MustCompile("(?s)```.*?```")
	endOfOne    = regexp.MustCompile(`\. `)
	itemOrTable = regexp.MustCompile(`(?m)^(- |\| |\|-)`)
)

// statements are the sentences of a page: of its paragraphs, of its lists, and each row of a table below the head.
func statements(page string) (all []string) {
	for _, block := range strings.Split(code.ReplaceAllString(page, ""), "\n\n") {
		block = strings.TrimSpace(block)
		switch {
		case block == "" || strings.HasPrefix(block, "#"):
			continue
		case strings.HasPrefix(block, "|"):
			all = append(all, strings.Split(block, "\n")[2:]...)
			continue
		}
		for _, part := range strings.Split(itemOrTable.ReplaceAllString(block, "\x00"), "\x00") {
			text := strings.Join(strings.Fields(part), " ")
			for text != "" {
				end := endOfOne.FindStringIndex(text)
				if end == nil {
					all = append(all, text)
					break
				}
				all, text = append(all, text[:end[0]]), text[end[1]:]
			}
		}
	}
	return all
}
