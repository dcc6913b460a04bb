<?php
// WordPress without a browser: install, write, read, search, update, delete, through its own functions.

error_reporting(E_ERROR);
[$_, $root] = $argv;
$_SERVER += ['HTTP_HOST' => 'localhost', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET'];
define('WP_INSTALLING', in_array('install', $argv, true));
require "$root/wp-load.php";
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

/** Runs the check, and fails it when the database reported any error meanwhile. */
function check(string $name, callable $run): void {
    global $wpdb;
    $wpdb->suppress_errors(true);
    $GLOBALS['EZSQL_ERROR'] = [];
    try {
        $run();
        // WordPress asks so for tables that it is about to make.
        $missing = fn($e) => str_starts_with($e['query'], 'DESCRIBE') && str_contains($e['error_str'], "doesn't exist");
        $errors = array_values(array_filter($GLOBALS['EZSQL_ERROR'], fn($e) => !$missing($e)));
        if ($errors) {
            throw new Exception(json_encode($errors[0]));
        }
        echo "ok $name\n";
    } catch (Throwable $e) {
        echo "not ok $name: " . preg_replace('/\s+/', ' ', $e->getMessage()) . "\n";
    }
}

function same($expected, $actual): void {
    if ($expected !== $actual) {
        throw new Exception('expected ' . json_encode($expected) . ', got ' . json_encode($actual));
    }
}

if (WP_INSTALLING) {
    echo "version WordPress $wp_version\n";
    check('install', function () {
        same(1, wp_install('Site', 'boss', 'boss@example.org', true, '', 'secret')['user_id']);
    });
    check('installing again (dbDelta) changes nothing', fn() => same([], dbDelta('all', false)));
    echo "done\n";
    exit;
}

check('log in', fn() => same(1, wp_authenticate('boss', 'secret')->ID));
check('options and transients', function () {
    update_option('eco', ['a' => 1, 'ü' => [true, null]]);
    wp_cache_flush();
    same(['a' => 1, 'ü' => [true, null]], get_option('eco'));
    set_transient('t', 'x', 60);
    same('x', get_transient('t'));
    delete_transient('t');
});
check('posts: insert, update, revisions, meta', function () {
    global $post;
    $id = wp_insert_post(['post_title' => "It's 😀", 'post_content' => 'Some <b>words</b> about rivers', 'post_status' => 'publish',
        'tags_input' => ['one', 'two'], 'meta_input' => ['k' => 'v', 'n' => 10], 'post_author' => 1], true);
    same(true, is_int($id));
    wp_update_post(['ID' => $id, 'post_content' => 'Other words about rivers']);
    same(true, count(wp_get_post_revisions($id)) >= 1);
    same("It's 😀", get_post($id)->post_title);
    same('v', get_post_meta($id, 'k', true));
    update_option('eco_post', $id);
});
$id = (int) get_option('eco_post');
check('queries: search, tags, meta with order, dates, pages', function () use ($id) {
    same([$id], wp_list_pluck((new WP_Query(['s' => 'rivers']))->posts, 'ID'));
    same([$id], wp_list_pluck((new WP_Query(['tag' => 'two']))->posts, 'ID'));
    same([$id], wp_list_pluck((new WP_Query(['meta_key' => 'n', 'orderby' => 'meta_value_num', 'meta_query' => [['key' => 'n', 'value' => 5, 'compare' => '>', 'type' => 'NUMERIC']]]))->posts, 'ID'));
    $page = new WP_Query(['posts_per_page' => 1, 'date_query' => [['after' => '1 week ago']], 'tax_query' => [['taxonomy' => 'category', 'field' => 'slug', 'terms' => 'uncategorized']]]);
    same([1, 2, 2], [$page->post_count, $page->found_posts, $page->max_num_pages]);
    same(2, (int) wp_count_posts()->publish);
});
check('comments: insert, threads, approve, count', function () use ($id) {
    $first = wp_insert_comment(['comment_post_ID' => $id, 'comment_content' => 'Nice', 'comment_author' => 'Zoë', 'comment_approved' => 1]);
    $second = wp_insert_comment(['comment_post_ID' => $id, 'comment_content' => 'Thanks', 'comment_parent' => $first, 'comment_approved' => 0]);
    wp_set_comment_status($second, 'approve');
    same('2', get_comments_number($id));
    same(2, count(get_comments(['post_id' => $id, 'hierarchical' => 'threaded', 'orderby' => 'comment_date_gmt'])) + 1);
});
check('terms and users', function () {
    $term = wp_insert_term('Rivers', 'category', ['description' => 'water']);
    same('Rivers', get_term_by('slug', 'rivers', 'category')->name);
    same(1, count(get_terms(['taxonomy' => 'category', 'hide_empty' => false, 'search' => 'riv'])));
    $user = wp_insert_user(['user_login' => 'zoe', 'user_pass' => 'x', 'user_email' => 'z@example.org', 'role' => 'editor']);
    same([$user], array_map('intval', get_users(['role' => 'editor', 'fields' => 'ID'])));
    same(2, count_users()['total_users']);
    wp_delete_term($term['term_id'], 'category');
});
check('REST: list and read', function () use ($id) {
    $server = rest_get_server();
    same(200, $server->dispatch(new WP_REST_Request('GET', '/wp/v2/posts'))->get_status());
    same($id, $server->dispatch(new WP_REST_Request('GET', "/wp/v2/posts/$id"))->get_data()['id']);
});
check('a plugin makes and alters its table', function () {
    global $wpdb;
    $table = $wpdb->prefix . 'eco';
    $sql = "CREATE TABLE $table (\nid bigint(20) unsigned NOT NULL auto_increment,\nname varchar(50) NOT NULL default '',\nPRIMARY KEY  (id),\nKEY name (name)\n) {$wpdb->get_charset_collate()};";
    dbDelta($sql);
    $wpdb->insert($table, ['name' => 'a']);
    same(1, $wpdb->insert_id);
    dbDelta(str_replace(['varchar(50)', 'PRIMARY'], ['varchar(80)', "at datetime NOT NULL default '0000-00-00 00:00:00',\nPRIMARY"], $sql));
    same(['id', 'name', 'at'], $wpdb->get_col("DESC $table"));
    same('0000-00-00 00:00:00', $wpdb->get_var("SELECT at FROM $table"));
    same(1, $wpdb->update($table, ['name' => 'b'], ['id' => 1]));
    same(1, $wpdb->delete($table, ['name' => 'b']));
});
check('trash and delete', function () use ($id) {
    wp_trash_post($id);
    wp_delete_post($id, true);
    same(null, get_post($id));
    same([], get_comments(['post_id' => $id]));
});
check('site health asks the database', function () {
    require_once ABSPATH . 'wp-admin/includes/class-wp-debug-data.php';
    same(true, is_array(WP_Debug_Data::debug_data()));
});
echo "done\n";
