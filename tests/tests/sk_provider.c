/*
 * A FIDO2 authenticator in software, as a provider of security keys for ssh-keygen and ssh (sk-api.h of OpenSSH, version 10).
 * Each key's handle is its private key. Nobody is asked for a touch, and any PIN will do: the answer claims what was asked for.
 */

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION 0x000a0000
#define ECDSA_P256 0
#define ED25519 1
#define POINT 65
#define LONGEST_SIGNATURE 128
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

static uint8_t *copy(const uint8_t *bytes, size_t length)
{
	uint8_t *copied = calloc(1, length);

	if (copied != NULL)
		memcpy(copied, bytes, length);
	return copied;
}

static EVP_PKEY *new_key(uint32_t alg)
{
	switch (alg) {
	case ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case ECDSA_P256:
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	default:
		return NULL;
	}
}

/* 32 bytes for Ed25519, an uncompressed point for ECDSA. */
static int public_key(EVP_PKEY *key, uint32_t alg, struct sk_enroll_response *response)
{
	uint8_t bytes[POINT], *point = bytes;

	response->public_key_len = sizeof bytes;
	if (alg == ED25519) {
		if (EVP_PKEY_get_raw_public_key(key, bytes, &response->public_key_len) != 1)
			return FAILED;
	} else {
		response->public_key_len = EVP_PKEY_get1_encoded_public_key(key, &point);
		if (response->public_key_len != POINT)
			return FAILED;
	}
	response->public_key = copy(point, response->public_key_len);
	return response->public_key == NULL ? FAILED : 0;
}

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
	const char *pin, struct sk_option **options, struct sk_enroll_response **enroll_response)
{
	struct sk_enroll_response *response;
	uint8_t *handle = NULL;
	EVP_PKEY *key;
	int length;

	(void)challenge, (void)challenge_len, (void)application, (void)pin, (void)options;
	if (alg != ED25519 && alg != ECDSA_P256)
		return UNSUPPORTED;
	key = new_key(alg);
	response = calloc(1, sizeof *response);
	if (key == NULL || response == NULL || public_key(key, alg, response) != 0)
		return FAILED;
	length = i2d_PrivateKey(key, &handle);
	if (length <= 0)
		return FAILED;
	response->flags = flags;
	response->key_handle_len = length;
	response->key_handle = copy(handle, length);
	OPENSSL_free(handle);
	EVP_PKEY_free(key);
	if (response->key_handle == NULL)
		return FAILED;
	*enroll_response = response;
	return 0;
}

/* The two numbers of an ECDSA signature. */
static int split(const uint8_t *signature, size_t length, struct sk_sign_response *response)
{
	ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &signature, length);
	const BIGNUM *r, *s;

	if (numbers == NULL)
		return FAILED;
	ECDSA_SIG_get0(numbers, &r, &s);
	response->sig_r_len = BN_num_bytes(r);
	response->sig_s_len = BN_num_bytes(s);
	response->sig_r = calloc(1, response->sig_r_len);
	response->sig_s = calloc(1, response->sig_s_len);
	if (response->sig_r == NULL || response->sig_s == NULL)
		return FAILED;
	BN_bn2bin(r, response->sig_r);
	BN_bn2bin(s, response->sig_s);
	ECDSA_SIG_free(numbers);
	return 0;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application, const uint8_t *key_handle,
	size_t key_handle_len, uint8_t flags, const char *pin, struct sk_option **options,
	struct sk_sign_response **sign_response)
{
	/* SHA256(application), flags, counter (big-endian), SHA256(data): PROTOCOL.u2f of OpenSSH. */
	uint8_t message[32 + 1 + 4 + 32] = { 0 }, signature[LONGEST_SIGNATURE];
	size_t length = sizeof signature;
	struct sk_sign_response *response;
	EVP_MD_CTX *context;
	EVP_PKEY *key;

	(void)options;
	if (alg != ED25519 && alg != ECDSA_P256)
		return UNSUPPORTED;
	if ((flags & VERIFICATION) && (pin == NULL || *pin == '\0'))
		return PIN_REQUIRED;
	key = d2i_AutoPrivateKey(NULL, &key_handle, key_handle_len);
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
	if (EVP_DigestSignInit(context, NULL, alg == ED25519 ? NULL : EVP_sha256(), NULL, key) != 1 ||
		EVP_DigestSign(context, signature, &length, message, sizeof message) != 1)
		return FAILED;
	if (alg == ECDSA_P256) {
		if (split(signature, length, response) != 0)
			return FAILED;
	} else {
		response->sig_r_len = length;
		response->sig_r = copy(signature, length);
	}
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
