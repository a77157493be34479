package qscanner

import "github.com/sifscan/sifscan-operator/api/v1alpha1"

// meaning is what an exit code comes to.
type meaning struct {
	// reason of the failure; empty for success.
	reason string
	// message says what failed, and what to change where somebody can.
	message string
	// partial: the image was read, and its inventory is worth keeping.
	partial bool
	// again: the service may have the answer a minute later.
	again bool
	// verdict of the policy.
	verdict string
}

// exitUsage is the exit code for a command line that qscanner does not understand.
const exitUsage = 2

// steps name the exit codes that have no other meaning for us than that this step failed. The table is the one that several
// independent callers of qscanner carry; others give some of the numbers another meaning, so nothing depends on them.
var steps = map[int]string{
	1: "", 3: "it could not open its log", 5: "reading the directory", 6: "reading the image", 7: "reading the archive",
	8: "reading the storage driver", 9: "reading the container", 10: "reading the artifact", 11: "reading metadata",
	12: "scanning the operating system's packages", 13: "scanning language packages", 14: "scanning for secrets",
	16: "scanning for malware", 18: "listing files", 19: "scanning for compliance", 20: "scanning manifests",
	21: "scanning the registry", 30: "writing JSON", 31: "making the change list", 32: "compressing the change list",
	34: "writing SPDX", 35: "writing CycloneDX", 36: "compressing the SBOM", 38: "writing secrets",
}

// meaningOf says what an exit code of qscanner means.
func meaningOf(code int) meaning {
	switch code {
	case 0:
		return meaning{}
	case exitUsage:
		return meaning{reason: v1alpha1.ReasonEngineFailed,
			message: "qscanner refused its command line: this version of it and this version of the agent do not fit together; use another qscanner, and report it"}
	case 15:
		return meaning{reason: v1alpha1.ReasonOSNotFound,
			message: "qscanner found no operating system in the image; the engine native lists the packages of such images"}
	case 17:
		return meaning{reason: v1alpha1.ReasonOSNotSupported,
			message: "qscanner does not support the image's operating system; the engine native may"}
	case 33:
		return meaning{reason: v1alpha1.ReasonUploadFailed, message: "qscanner could not upload the scan to its platform", partial: true}
	case 37:
		return meaning{reason: v1alpha1.ReasonUploadFailed, message: "qscanner could not upload the SBOM to its platform", partial: true}
	case 39:
		return meaning{reason: v1alpha1.ReasonUploadFailed, message: "qscanner could not upload the secrets it found to its platform", partial: true}
	case 40:
		return meaning{reason: v1alpha1.ReasonReportUnavailable, partial: true, again: true,
			message: "the image was read and uploaded, and the platform had no vulnerability report for it in time"}
	case 41:
		return meaning{reason: v1alpha1.ReasonReportUnavailable, partial: true, again: true,
			message: "the image was read and uploaded, and the platform had no policy result for it in time"}
	case 42:
		return meaning{verdict: v1alpha1.ReasonPolicyDenied, partial: true}
	case 43:
		return meaning{verdict: v1alpha1.ReasonPolicyAudit, partial: true}
	}
	message := "qscanner failed"
	if step, known := steps[code]; known && step != "" {
		message += ": " + step
	}
	return meaning{reason: v1alpha1.ReasonEngineFailed, message: message}
}
