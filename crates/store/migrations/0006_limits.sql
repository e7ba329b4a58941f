-- Every setting was written down with the first that was set, so that 'on' was nobody's word. Unset, it follows methods.
UPDATE setting SET value = '' WHERE key = 'fallback.sms-to-email' AND value = 'on';
