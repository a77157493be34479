package native

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/bits"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/veles"
	"github.com/google/osv-scalibr/veles/secrets/anthropicapikey"
	"github.com/google/osv-scalibr/veles/secrets/awsaccesskey"
	"github.com/google/osv-scalibr/veles/secrets/digitaloceanapikey"
	"github.com/google/osv-scalibr/veles/secrets/dockerhubpat"
	"github.com/google/osv-scalibr/veles/secrets/gcpapikey"
	"github.com/google/osv-scalibr/veles/secrets/gcpsak"
	"github.com/google/osv-scalibr/veles/secrets/github"
	"github.com/google/osv-scalibr/veles/secrets/gitlabpat"
	"github.com/google/osv-scalibr/veles/secrets/huggingfaceapikey"
	"github.com/google/osv-scalibr/veles/secrets/npmjsaccesstoken"
	"github.com/google/osv-scalibr/veles/secrets/openai"
	"github.com/google/osv-scalibr/veles/secrets/privatekey"
	"github.com/google/osv-scalibr/veles/secrets/pypiapitoken"
	"github.com/google/osv-scalibr/veles/secrets/rubygemsapikey"
	"github.com/google/osv-scalibr/veles/secrets/sendgrid"
	"github.com/google/osv-scalibr/veles/secrets/slacktoken"
	"github.com/google/osv-scalibr/veles/secrets/stripeapikeys"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

const (
	// maxSecretFile bounds files that are searched. Credentials lie in small files; the larger texts of an image are data.
	maxSecretFile = 4 * mib
	// maxSecrets bounds the list: an image with more is a collection of test keys, and the first thousand show it.
	maxSecrets = 1000
	// textHead is how much of a file tells whether it is text.
	textHead = 512
)

// secretRule is one kind of credential. The detector's regular expression runs only on files that hold one of the literals:
// searching for literals is fifty times as fast as running one expression, and nearly no file holds one.
type secretRule struct {
	name     string
	literals []string
	detector veles.Detector
}

var secretRules = []secretRule{
	{"anthropic-api-key", []string{"sk-ant-"}, anthropicapikey.NewDetector()},
	{"aws-access-key", []string{"AKIA", "ASIA"}, awsaccesskey.NewDetector()},
	{"digitalocean-token", []string{"dop_v1_"}, digitaloceanapikey.NewDetector()},
	{"dockerhub-token", []string{"dckr_pat_"}, dockerhubpat.NewDetector()},
	{"gcp-api-key", []string{"AIzaSy"}, gcpapikey.NewDetector()},
	{"gcp-service-account-key", []string{"auth_provider_x509_cert_url"}, gcpsak.NewDetector()},
	{"github-app-token", []string{"ghs_"}, github.NewAppS2STokenDetector()},
	{"github-app-user-token", []string{"ghu_"}, github.NewAppU2SDetector()},
	{"github-oauth-token", []string{"gho_"}, github.NewOAuthTokenDetector()},
	{"github-token", []string{"ghp_"}, github.NewClassicPATDetector()},
	{"github-token", []string{"github_pat_"}, github.NewFineGrainedPATDetector()},
	{"gitlab-token", []string{"glpat-"}, gitlabpat.NewDetector()},
	{"huggingface-token", []string{"hf_"}, huggingfaceapikey.NewDetector()},
	{"npm-token", []string{"npm_"}, npmjsaccesstoken.NewDetector()},
	{"openai-api-key", []string{"T3BlbkFJ"}, openai.NewDetector()},
	{"private-key", []string{"PRIVATE KEY-----"}, privatekey.NewDetector()},
	{"pypi-token", []string{"pypi-"}, pypiapitoken.NewDetector()},
	{"rubygems-token", []string{"rubygems_"}, rubygemsapikey.NewDetector()},
	{"sendgrid-api-key", []string{"SG."}, sendgrid.NewDetector()},
	{"slack-app-token", []string{"xapp-"}, slacktoken.NewAppLevelTokenDetector()},
	{"slack-token", []string{"xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"},
		pattern{regexp.MustCompile(`\bxox[abprs]-[0-9]{8,14}-[0-9A-Za-z-]{20,150}`)}},
	{"slack-webhook", []string{"hooks.slack.com/"},
		pattern{regexp.MustCompile(`https://hooks\.slack\.com/(?:services|workflows)/T[0-9A-Z]{8,12}/[0-9A-Z]{8,20}/[0-9A-Za-z]{20,30}`)}},
	{"stripe-secret-key", []string{"sk_live_"}, stripeapikeys.NewSecretKeyDetector()},
}

// secretLiterals are those of secretRules, by the rule's place.
var secretLiterals = func() *literals {
	var owners [][]string
	for _, r := range secretRules {
		owners = append(owners, r.literals)
	}
	return newLiterals(owners)
}()

// pattern is a detector of our own: every match of an expression.
type pattern struct{ *regexp.Regexp }

func (pattern) MaxSecretLen() uint32 { return 512 }

func (p pattern) Detect(data []byte) (found []veles.Secret, at []int) {
	for _, m := range p.FindAllIndex(data, -1) {
		found, at = append(found, nil), append(at, m[0])
	}
	return found, at
}

// secretPlaces are files that are a credential by their place, whatever their content: the keys that open a Slurm cluster, in
// the places munge and Slurm document.
var secretPlaces = map[string]string{
	"etc/munge/munge.key":                     "munge-key",
	"etc/slurm/slurm.key":                     "slurm-key",
	"etc/slurm/jwt_hs256.key":                 "slurm-jwt-key",
	"var/spool/slurm/statesave/jwt_hs256.key": "slurm-jwt-key",
}

// secretFinder searches files as one more extractor of the walk.
type secretFinder struct {
	found   []engine.Secret
	skipped int    // text files beyond maxSecretFile
	text    []byte // of the file under search; scalibr calls for one file after the other
}

func (s *secretFinder) rule() rule {
	return rule{maxFile: maxBinary, Extractor: ours{name: "secrets", wants: mayHoldSecret, read: s.read}}
}

// mayHoldSecret leaves out what comes from packages, where keys are examples and test data, and files that are no text by
// their name.
func mayHoldSecret(name string) bool {
	for _, dir := range []string{"usr/share/", "usr/include/", "usr/lib/", "usr/lib64/", "usr/src/", "var/lib/dpkg/", "var/lib/rpm/"} {
		if strings.HasPrefix(name, dir) {
			return false
		}
	}
	for _, dir := range []string{"/site-packages/", "/dist-packages/", "/node_modules/", "/pkgs/", "/lib/python", "/gems/"} {
		if strings.Contains(name, dir) {
			return false
		}
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".so", ".a", ".o", ".pyc", ".jar", ".gz", ".xz", ".zst", ".bz2", ".zip", ".whl", ".png", ".jpg", ".gif", ".pdf",
		".h5", ".npy", ".npz", ".pt", ".safetensors", ".mo", ".ttf", ".woff", ".woff2", ".deb", ".rpm", ".exe", ".dll":
		return false
	}
	return true
}

func (s *secretFinder) read(ctx context.Context, input *filesystem.ScanInput) ([]*extractor.Package, error) {
	if rule, ok := secretPlaces[input.Path]; ok && input.Info.Size() > 0 {
		s.add(rule, input.Path, 0)
		return nil, nil
	}
	size := input.Info.Size()
	s.text = s.text[:0]
	if err := s.more(input.Reader, min(size, textHead)); err != nil || len(s.text) == 0 || bytes.IndexByte(s.text, 0) >= 0 {
		return nil, err // empty, or no text
	}
	if size > maxSecretFile {
		s.skipped++
		return nil, nil
	}
	if err := s.more(input.Reader, size-textHead); err != nil {
		return nil, err
	}
	for rules := secretLiterals.in(s.text); rules != 0; rules &= rules - 1 {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		rule := secretRules[bits.TrailingZeros64(rules)]
		_, places := rule.detector.Detect(s.text)
		for _, at := range places {
			s.add(rule.name, input.Path, 1+bytes.Count(s.text[:min(at, len(s.text))], []byte("\n")))
		}
	}
	return nil, nil
}

// more reads up to n more bytes of the file.
func (s *secretFinder) more(r io.Reader, n int64) error {
	if n <= 0 {
		return nil
	}
	have := len(s.text)
	s.text = slices.Grow(s.text, int(n))[:have+int(n)]
	m, err := io.ReadFull(r, s.text[have:])
	s.text = s.text[:have+m]
	if err == io.EOF || err == io.ErrUnexpectedEOF { // shorter than it was
		return nil
	}
	return err
}

func (s *secretFinder) add(rule, place string, line int) {
	if len(s.found) < maxSecrets {
		s.found = append(s.found, engine.Secret{Rule: rule, Path: engine.Text(place, maxLocation), Line: line})
	}
}

// list returns the secrets, sorted, each once.
func (s *secretFinder) list() []engine.Secret {
	slices.SortFunc(s.found, func(a, b engine.Secret) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.Compact(s.found)
}

// limits says what the search left out, or "".
func (s *secretFinder) limits() string {
	switch {
	case len(s.found) >= maxSecrets:
		return fmt.Sprintf("the image holds %d secrets or more; the others are not listed", maxSecrets)
	case s.skipped > 0:
		return fmt.Sprintf("%d text files larger than %d bytes were not searched for secrets", s.skipped, maxSecretFile)
	}
	return ""
}
