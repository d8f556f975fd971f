package bench

import (
	"fmt"
	"net/url"
)

// withDatabase returns a connection URL for another database of the server.
func withDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("reading PostgreSQL's URL: %w", err)
	}
	u.Path = "/" + name
	return u.String(), nil
}
