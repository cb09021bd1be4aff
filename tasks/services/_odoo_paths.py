"""Odoo's paths (16.0 and 19.0, all routes of the modules that it comes with): what customers and programs of others reach, and what of that is staff's."""

from tasks.model.words import apart

# What customers, and programs of others, reach of the modules that Odoo comes with (16.0 and 19.0, all routes); each answers below a
# language, too (addons/http_routing, case 9).
PUBLIC = apart(
    # The first page, what robots read, what pages load.
    "/ /robots.txt /sitemap* /google*.html /gmc.xml /.well-known/* /favicon.ico /logo /logo.png /*/static/* /web/assets/* /web/bundle/* /web/content/*",
    "/web/image/* /web/binary/company_logo /web/sign/get_fonts/* /web/webclient/translations/* /report/barcode/* /web_editor/shape/*",
    "/web_editor/image_shape/* /web_editor/font_to_img/* /html_editor/shape/* /html_editor/image_shape/* /mail/font_to_img/*",
    "/web/login /web/login/totp /web/login_successful /web/signup /web/reset_password /web/session/logout /auth_oauth/signin /auth/passkey/start-auth",
    "/website/action/* /website/country_infos/* /website/form/* /website/get_current_currency /website/google_maps_api_key /website/image/* /website/info",
    "/website/lang/* /website/save_session_layout_mode /website/search/* /website/snippet/autocomplete /website/snippet/filter_templates",
    "/website/snippet/filters /website/social/* /website/translations/* /pages/* /model/* /contactus* /aboutus /terms /privacy /cookie-policy /google_map",
    # The portal, what is paid, the shop, what is ordered at a table.
    "/my/* /portal/* /mail/chatter_init /mail/chatter_fetch /mail/chatter_post /mail/view /mail/unfollow /mail/avatar/* /rate/* /payment/*",
    "/invoice/transaction/* /donation/* /website_payment/* /shop/* /coupon/* /autocomplete/* /sale/create_product_variant",
    "/sale/get_combination_info_website /sale_product_configurator/optional_product_items_website",
    "/sale_product_configurator/show_advanced_configurator_website /website_sale/* /website_sale_mrp/* /website_sale_delivery_mondialrelay/*",
    "/website_sale_mondialrelay/* /pos/ticket/* /pos/pay/* /pos-self/* /pos-self-order/* /kiosk/payment/*",
    # Events, blogs, forums, courses, surveys, jobs, groups, who is listed, what is shared.
    "/event/* /events/* /event_sponsor/* /event_track/* /blog/* /forum/* /profile/* /slides/* /slides_survey/slide/get_certification_url /survey/* /s/*",
    "/jobs/* /website_hr_recruitment/* /group/* /groups/* /customers/* /partners/* /members/* /cards/* /dashboard/* /website_mail/*",
    "/website_twitter/get_favorites /jitsi/*",
    "/r/* /mail/track/* /mail/mailing/* /mailing/* /unsubscribe_from_list /website_mass_mailing/* /sms/* /digest/*/unsubscribe* /calendar/join_videocall/*",
    "/calendar/meeting/accept /calendar/meeting/decline /calendar/meeting/view /calendar/recurrence/*",
    "/web/hook/* /pos_adyen/notification /pos_mollie/webhook /qfpay/notify /gelato/webhook /peppol/webhook/* /sms_twilio/status/*",
    # The live chat, and meetings that guests are invited to.
    "/websocket /websocket/on_closed /websocket/peek_notifications /websocket/update_bus_presence /longpolling/poll /bus/websocket_worker_bundle",
    "/bus/has_missed_notifications /im_livechat/* /livechat/* /chatbot/* /chat/* /meet/* /discuss/channel/* /discuss/voice/* /mail/action /mail/data",
    "/mail/attachment/* /mail/channel/* /mail/chat_history /mail/chat_post /mail/guest/update_name /mail/init_messaging /mail/link_preview/*",
    "/mail/message/* /mail/rtc/*",
)
# What of that is staff's. The first eight take any word, also one that looks like a module's file.
GUARDED = apart(
    "/doc/* /json/* /odoo/* /onboarding/* /report/static/* /scoped_app/* /stock/static/* /xmlrpc/* /chatbot/*/test /discuss/channel/sub_channel/delete",
    "/discuss/channel/update_avatar /event/init_barcode_interface /im_livechat/conversation/* /im_livechat/session/* /jobs/add /mail/message/translate",
    "/mail/rtc/channel/upgrade_connection /mailing/get_preview_assets /mailing/mobile/* /payment/*/oauth/* /payment/*/onboarding/* /r /r/*+ /shop/config/*",
    "/shop/product/clear-images /shop/product/extra-images /shop/product/extra-media /shop/product/remove-image /shop/product/resequence-image",
    "/slides/add_slide /slides/category/* /slides/channel/send_share_email /slides/channel/tag/* /slides/get_course_products /slides/prepare_preview",
    "/slides/slide/archive /slides/slide/quiz/question_add_or_update /slides/slide/toggle_is_preview /slides/tag/search_read /survey/results/*",
    "/survey/session/* /survey/test/* /survey/*/certification_preview /survey/*/get_certification_preview",
)
