package wire

// TokenList is the answer to GET /v1/tokens.
type TokenList struct {
	Tokens []string `json:"tokens"` // names; what a token is, nobody can be told again
}

// TokenCreate asks for a token that can send events.
type TokenCreate struct {
	Name string `json:"name"`
}

// Token is a token that was made.
type Token struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}
