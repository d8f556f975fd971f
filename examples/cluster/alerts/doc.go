// Package alerts is a small receiver of alerts: it takes in what Alertmanager sends by
// e-mail and by webhook, keeps the newest in memory and shows them as a page. It stands
// in for the mailbox and the pager that a deployment has; nothing is kept when it ends.
package alerts
