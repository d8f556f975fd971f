package auth

// What is sent by SMS. Texts stay in the GSM alphabet and below 160 characters:
// one message each. Only texts with a code have digits.
const (
	textRegistered = "Somebody tried to register this number with Tillbook, but it has an account already. " +
		"If it was you, sign in or reset your password."
	textPasswordChanged = "The password of your Tillbook account was changed. " +
		"If it wasn't you, reset your password in the app now."
)

func textCode(p purpose, code string) string {
	switch p {
	case purposeLogin:
		return code + " is your Tillbook code to sign in on a new device. Tell it to nobody, not even to us."
	case purposePasswordReset:
		return code + " is your Tillbook code to reset your password. Tell it to nobody, not even to us."
	default:
		return code + " is your Tillbook code. Tell it to nobody, not even to us."
	}
}
