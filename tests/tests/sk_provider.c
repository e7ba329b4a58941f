/*
 * A FIDO2 authenticator in software, as a provider of security keys for ssh-keygen and ssh (sk-api.h of OpenSSH, version 10).
 * Each key's handle is its private key. Nobody is asked for a touch, and any PIN will do: the answer claims what was asked for.
 */

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION 0x000a0000
#define ED25519 1
#define UNSUPPORTED (-2)
#define PIN_REQUIRED (-3)
#define VERIFICATION 0x04
#define FAILED (-1)

struct sk_option;

struct sk_enroll_response {
	uint8_t flags;
	uint8_t *public_key;
	size_t public_key_len;
	uint8_t *key_handle;
	size_t key_handle_len;
	uint8_t *signature;
	size_t signature_len;
	uint8_t *attestation_cert;
	size_t attestation_cert_len;
	uint8_t *authdata;
	size_t authdata_len;
};

struct sk_sign_response {
	uint8_t flags;
	uint32_t counter;
	uint8_t *sig_r;
	size_t sig_r_len;
	uint8_t *sig_s;
	size_t sig_s_len;
};

struct sk_resident_key;

uint32_t sk_api_version(void)
{
	return API_VERSION;
}

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
	const char *pin, struct sk_option **options, struct sk_enroll_response **enroll_response)
{
	struct sk_enroll_response *response;
	EVP_PKEY *key;

	(void)challenge, (void)challenge_len, (void)application, (void)pin, (void)options;
	if (alg != ED25519)
		return UNSUPPORTED;
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	response = calloc(1, sizeof *response);
	if (key == NULL || response == NULL)
		return FAILED;
	response->flags = flags;
	response->public_key_len = response->key_handle_len = 32;
	response->public_key = calloc(1, 32);
	response->key_handle = calloc(1, 32);
	if (EVP_PKEY_get_raw_public_key(key, response->public_key, &response->public_key_len) != 1 ||
		EVP_PKEY_get_raw_private_key(key, response->key_handle, &response->key_handle_len) != 1)
		return FAILED;
	EVP_PKEY_free(key);
	*enroll_response = response;
	return 0;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application, const uint8_t *key_handle,
	size_t key_handle_len, uint8_t flags, const char *pin, struct sk_option **options,
	struct sk_sign_response **sign_response)
{
	/* SHA256(application), flags, counter (big-endian), SHA256(data): PROTOCOL.u2f of OpenSSH. */
	uint8_t message[32 + 1 + 4 + 32] = { 0 };
	struct sk_sign_response *response;
	EVP_MD_CTX *context;
	EVP_PKEY *key;

	(void)options;
	if (alg != ED25519)
		return UNSUPPORTED;
	if ((flags & VERIFICATION) && (pin == NULL || *pin == '\0'))
		return PIN_REQUIRED;
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key_handle, key_handle_len);
	context = EVP_MD_CTX_new();
	response = calloc(1, sizeof *response);
	if (key == NULL || context == NULL || response == NULL)
		return FAILED;
	response->flags = flags;
	response->counter = 1;
	SHA256((const uint8_t *)application, strlen(application), message);
	message[32] = flags;
	message[36] = 1;
	SHA256(data, data_len, message + 37);
	response->sig_r_len = 64;
	response->sig_r = calloc(1, 64);
	if (EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
		EVP_DigestSign(context, response->sig_r, &response->sig_r_len, message, sizeof message) != 1)
		return FAILED;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	*sign_response = response;
	return 0;
}

int sk_load_resident_keys(const char *pin, struct sk_option **options, struct sk_resident_key ***keys, size_t *count)
{
	(void)pin, (void)options, (void)keys, (void)count;
	return UNSUPPORTED;
}
