-- name: GetRole :one
SELECT role FROM staff WHERE merchant_id = @merchant_id AND user_id = @user_id;
