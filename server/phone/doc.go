// Package phone reads phone numbers as people write them and keeps them in one
// form, E.164, which is what is stored, compared and sent to.
//
// Only numbers that can belong to a mobile phone are accepted: codes go to them
// by SMS, and premium or shared-cost numbers are how SMS fraud is paid for. In
// some countries (the USA among them) a number doesn't tell whether it is a
// mobile; those are accepted.
package phone
