package function

import (
	"fmt"
	"net/netip"
	"net/url"
)

// JWTAuth wants `Authorization: Bearer` with a JSON Web Token (RFC 7519) that an issuer has signed.
type JWTAuth struct {
	Issuer   string            `json:"issuer"`             // the token's iss; where OpenID Connect Discovery finds the keys
	Audience []string          `json:"audience"`           // one of them is in the token's aud
	Keys     string            `json:"keys,omitempty"`     // URL of a JSON Web Key Set (RFC 7517); "" = what discovery says
	Claims   map[string]string `json:"claims,omitempty"`   // what further claims have to be, or to hold where they are lists
	Identity string            `json:"identity,omitempty"` // the claim that names who it is; "" = sub
}

// IdentityClaim is the claim that names who a token is about.
func (j *JWTAuth) IdentityClaim() string {
	if j.Identity == "" {
		return "sub"
	}
	return j.Identity
}

func jwtValue() value[JWTAuth] {
	return object([]string{"issuer", "audience"},
		field("issuer", "Who signs the tokens, as their claim iss has it: https://id.example. Its keys are found by OpenID Connect Discovery.", text[string](), func(j *JWTAuth) *string { return &j.Issuer }),
		field("audience", "For whom a token has to be, by its claim aud: one of these.", list(text[string](), none[string]), func(j *JWTAuth) *[]string { return &j.Audience }),
		field("keys", "The URL of the issuer's keys, a JSON Web Key Set. Default: what discovery says.", text[string](), func(j *JWTAuth) *string { return &j.Keys }),
		field("claims", "What other claims have to be, or to hold where they are lists: {role: admin}.", mapOf(word()), func(j *JWTAuth) *map[string]string { return &j.Claims }),
		field("identity", "The claim that names who calls. Default: sub.", text[string](), func(j *JWTAuth) *string { return &j.Identity }),
	)
}

func (c *checker) jwt(at string, j *JWTAuth) {
	c.issuer(at+".issuer", j.Issuer)
	if j.Keys != "" {
		c.issuer(at+".keys", j.Keys)
	}
	if len(j.Audience) == 0 {
		c.add(at+".audience", "such as [https://api.example]; a token for somebody else's service would open this route too", "names nobody")
	}
	for i, a := range j.Audience {
		if a == "" {
			c.add(fmt.Sprintf("%s.audience[%d]", at, i), "", "is empty")
		}
	}
	c.claims(at+".claims", j.Claims)
}

// claims checks what is asked for beside what a token has to say in any case.
func (c *checker) claims(at string, claims map[string]string) {
	for name, want := range claims {
		switch name {
		case "", "iss", "aud", "exp", "nbf", "iat":
			c.add(at, "iss is issuer, aud is audience; the times are always checked", "%q cannot be asked for here", clip(name))
		}
		if want == "" {
			c.add(at+"."+clip(name), "such as admin", "is empty")
		}
	}
}

// issuer checks a URL whose answer is believed: by https, or on this machine.
func (c *checker) issuer(at, text string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		c.add(at, "such as https://id.example", "is required")
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		c.add(at, "such as https://id.example", "%q is no address of an issuer", clip(text))
	case u.Scheme == "http" && !loopback(u.Hostname()):
		c.add(at, "https", "%q is not encrypted, so that anybody between could put keys of his own there", clip(text))
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
